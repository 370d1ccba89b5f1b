"""Which way of handling calls is chosen."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from sidecar.errors import ConfigError
from sidecar.server.calls import InternalErrors, OnBegin, UnaryHandler
from sidecar.server.engines import check, choose_engine
from sidecar.server.large_requests import LargeRequests
from sidecar.server.slots import Slots
from sidecar.server.threads import ThreadedCalls, ThreadEngine


def test_direct_where_the_check_passes() -> None:
    """With the installed grpcio, `auto` is direct, and the reason says how long the check took."""
    engine, reason = choose_engine("auto", InternalErrors())
    assert engine.name == "direct"
    assert reason.startswith("checked in ")


def test_threads_when_configured() -> None:
    """The mode `threads` is taken as it is; it passes the same check."""
    engine, reason = choose_engine("threads", InternalErrors())
    assert (engine.name, reason) == ("threads", "as configured")
    check(engine)


def test_threads_where_grpcio_lacks_a_private_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of grpcio without one of the names is served on threads, and the reason names it."""
    monkeypatch.delitem(sys.modules, "sidecar.server.direct", raising=False)
    monkeypatch.delattr("grpc._server._possibly_finish_call")
    engine, reason = choose_engine("auto", InternalErrors())
    assert engine.name == "threads"
    assert "_possibly_finish_call" in reason


@pytest.mark.parametrize("broken", ["_send_last", "_complete"])
def test_threads_where_a_private_name_changed_its_meaning(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Calls that do not end, or fail, within the check's time limit are enough."""
    import sidecar.server.direct  # noqa: PLC0415 - not before the other test has removed it

    def useless(*_: Any) -> tuple[None, tuple[()]]:  # noqa: ANN401 - any arguments
        return None, ()

    monkeypatch.setattr(sidecar.server.direct, broken, useless)
    monkeypatch.setattr("sidecar.server.engines._STEP_S", 0.3)
    engine, reason = choose_engine("auto", InternalErrors())
    assert engine.name == "threads"
    assert "direct handling does not work with grpcio" in reason


def test_direct_on_demand_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode `direct` never falls back: where it does not work, the start fails and says what would."""
    monkeypatch.delitem(sys.modules, "sidecar.server.direct", raising=False)
    monkeypatch.delattr("grpc._server._status")
    with pytest.raises(ConfigError, match=r"--call-handling direct: .*use auto or threads"):
        choose_engine("direct", InternalErrors())


def test_the_check_finds_an_engine_that_does_not_answer() -> None:
    """It raises, and does not wait for ever."""

    class WrongAnswers(ThreadedCalls):
        def unary(self, answer: UnaryHandler, on_begin: OnBegin, guard: object = None) -> Any:  # noqa: ANN401, ARG002 - a stand-in
            return super().unary(lambda _: b"wrong", on_begin)

    class WrongEngine(ThreadEngine):
        def group(self, limit: int) -> ThreadedCalls:
            return WrongAnswers(Slots(limit), InternalErrors(), LargeRequests())

    with pytest.raises(Exception, match="a response: found b'wrong', expected b'one answered'"):
        check(WrongEngine(InternalErrors()))
