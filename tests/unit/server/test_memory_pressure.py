"""What is refused where the memory of the process nears its limit."""

from __future__ import annotations

import logging

import grpc
import pytest

from sidecar.counters import CallStats
from sidecar.errors import MemoryShort
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.server.calls import InternalErrors
from sidecar.server.decisions import DecisionHandler
from sidecar.server.engines import choose_engine
from sidecar.server.memory_pressure import NO_PRESSURE, MemoryPressure, private_bytes, trim
from sidecar.server.router import Method, Router
from sidecar.server.slots import CallThreads, Slots
from sidecar.table import RoutingTable
from tests.views import view
from tests.waiting import eventually

_MIB = 1024 * 1024


class _Memory:
    """Memory in MiB that a test sets; `kept` is what the allocator holds and can release."""

    def __init__(self, used: int, kept: int = 0) -> None:
        self.used = used
        self.kept = kept

    def measure(self) -> int:
        return (self.used + self.kept) * _MIB

    def release(self) -> None:
        self.kept = 0


class _Details(grpc.HandlerCallDetails):
    """A call of the one method."""

    method = "/s/m"
    invocation_metadata = ()


def _pressure(memory: _Memory) -> MemoryPressure:
    return MemoryPressure(100 * _MIB, measure=memory.measure, release=memory.release)


def test_pressure_begins_and_ends_apart(caplog: pytest.LogCaptureFixture) -> None:
    """It begins above 85 % and ends below 80 %, with one line of the log for each."""
    memory = _Memory(84)
    pressure = _pressure(memory)
    seen = []
    with caplog.at_level(logging.WARNING):
        for memory.used in (84, 85, 86, 84, 80, 90, 79, 84):
            pressure.look()
            seen.append(pressure.high)
    assert seen == [False, False, True, True, True, True, False, False]
    begun, ended = caplog.messages
    assert begun.startswith("86 of 100 MiB of memory are used: large requests and new streams get RESOURCE_EXHAUSTED")
    assert ended == "79 of 100 MiB of memory are used: no longer refusing for it"


def test_memory_that_only_the_allocator_holds_is_no_pressure() -> None:
    """It is returned first; what is left counts."""
    memory = _Memory(50, kept=45)
    pressure = _pressure(memory)
    pressure.look()
    assert not pressure.high
    assert memory.kept == 0


def test_this_process_is_measured() -> None:
    """Its own memory counts, mapped files do not; releasing does no harm."""
    before = private_bytes()
    held = b"x" * (64 * _MIB)
    assert private_bytes() - before > 60 * _MIB
    del held
    trim()
    assert private_bytes() - before < 30 * _MIB
    pressure = MemoryPressure(_MIB)
    pressure.start()
    eventually(lambda: pressure.high, "pressure of a process above its limit")
    pressure.stop()


def test_large_requests_are_refused_under_pressure() -> None:
    """Small ones are answered, and so are large ones once there is room."""
    memory = _Memory(90)
    pressure = _pressure(memory)
    table = RoutingTable()
    table.view = view(b"default: dc1", generation=1)
    decisions = DecisionHandler(table, max_candidates=10_000, memo_entries=10, memo_bytes=1000, pressure=pressure)
    workers = [pb.Worker(address=f"{number:050d}", datacenter="dc1") for number in range(1000)]
    large = pb.FilterWorkersRequest(app="a", candidates=workers).SerializeToString()
    pressure.look()
    with pytest.raises(MemoryShort, match="short of memory: retry with backoff"):
        decisions.answer(large)
    assert decisions.answer(pb.FilterWorkersRequest(app="a", candidates=workers[:3]).SerializeToString())
    memory.used = 10
    pressure.look()
    assert decisions.answer(large)


@pytest.mark.parametrize(("stream", "used", "refused"), [(True, 90, True), (False, 90, False), (True, 10, False)])
def test_new_streams_are_refused_under_pressure(*, stream: bool, used: int, refused: bool) -> None:
    """Calls of one request are not; a refused call is counted with its status."""
    pressure = _pressure(_Memory(used))
    pressure.look()
    engine, _ = choose_engine("threads", InternalErrors())
    stats = CallStats().method("/s/m", "bidi_stream")
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    threads = CallThreads(1)
    method = Method(handler, Slots(1), stats, stream=stream)
    router = Router({"/s/m": method}, engine, threads, pressure)
    assert (router.service(_Details()) is handler) is not refused
    assert dict(stats.handled()).get("RESOURCE_EXHAUSTED", 0) == int(refused)
    threads.shutdown()


def test_without_a_limit_there_is_no_pressure() -> None:
    """Nothing is measured then."""
    NO_PRESSURE.look()
    assert not NO_PRESSURE.high
