"""What the server refuses so that it can go on for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import SERVICE, Client, a_request, code_of
from tests.integration.server.conftest import Serve
from tests.waiting import eventually


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    """Return what keeps silent clients silent; set at the end."""
    event = threading.Event()
    yield event
    event.set()


def keep_silent(client: Client, silence: threading.Event) -> grpc.Future[object]:
    """Begin a FilterWorkers call whose request does not come; it lasts as long as what is returned."""
    call = client.channel.stream_unary(SERVICE + "FilterWorkers", None, None)
    return call.future(iter(lambda: silence.wait() and None, None))


def test_a_message_over_the_bound(serve: Serve) -> None:
    """A request longer than allowed is RESOURCE_EXHAUSTED, one just within is answered, on the same connection."""
    served = serve(max_message_size=10_000)
    small = a_request(candidates={"dc1": 100})
    big = a_request(candidates={"dc1": 1000})
    assert small.ByteSize() < 10_000 < big.ByteSize()
    with pytest.raises(grpc.RpcError) as refused:
        served.client.filter(big)
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.client.filter(small).reason == pb.REASON_NO_WORKERS


def test_20_000_candidates(serve: Serve) -> None:
    """The default bound is allowed and answered; one more is INVALID_ARGUMENT and names the field."""
    client = serve().client
    client.within = 60
    request = a_request(candidates={"dc1": 10_000, "dc2": 10_000})
    assert list(client.filter(request).indices) == list(range(10_000, 20_000))
    request.candidates.add(address="one-more")
    with pytest.raises(grpc.RpcError, match="candidates: found more than 20000") as refused:
        client.filter(request)
    assert code_of(refused.value) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("handling", ["direct", "threads"])
def test_a_large_request_is_answered_beside_others(serve: Serve, handling: str) -> None:
    """On a thread of its own, by either engine, for unary calls and on streams, with the refusals of small ones."""
    served = serve(call_handling=handling)
    served.client.within = 30
    request = a_request(candidates={"dc1": 3000, "dc2": 3000})
    assert list(served.client.filter(request).indices) == list(range(3000, 6000))
    answers = served.client.stream([request, a_request(), request])
    assert [len(answer.indices) for answer in answers] == [3000, 2, 3000]
    request.candidates.add(address="a", tag="," * 5000)
    with pytest.raises(grpc.RpcError, match=r"candidates\[6000\]\.tag: found 5,000 characters") as refused:
        served.client.filter(request)
    assert code_of(refused.value) is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as ended:
        served.client.stream([request])
    assert code_of(ended.value) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_compressed_message_is_bounded_by_what_it_holds(serve: Serve) -> None:
    """A few hundred kilobytes that hold 300 MiB are refused before there is memory for them."""
    served = serve()
    call = served.client.channel.unary_unary(SERVICE + "FilterWorkers", None, None)
    with pytest.raises(grpc.RpcError) as refused:
        call(b"\n" + bytes(300 << 20), timeout=60, compression=grpc.Compression.Gzip)
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_silent_callers_do_not_starve_the_others(serve: Serve, silence: threading.Event) -> None:
    """Calls whose request never comes hold all threads, and others are still answered."""
    served = serve(max_concurrent_calls=100)
    with Client(served.address) as silent:
        silent_calls = [keep_silent(silent, silence) for _ in range(20)]
        served.client.within = 0.5

        def answered() -> bool:
            try:
                return served.client.filter().datacenter == "dc2"
            except grpc.RpcError:
                return False

        eventually(answered, "an answer beside the silent ones", within=30)
        assert not any(call.done() for call in silent_calls)


@pytest.mark.parametrize("handling", ["direct", "threads"])
def test_silent_callers_do_not_take_all_places(serve: Serve, silence: threading.Event, handling: str) -> None:
    """With as many silent calls as may be open, each new call takes the place of one of them after a second."""
    served = serve(max_concurrent_calls=4, call_handling=handling)
    with Client(served.address) as silent:
        silent_calls = [keep_silent(silent, silence) for _ in range(4)]

        def answered() -> bool:
            try:
                return served.client.filter().datacenter == "dc2"
            except grpc.RpcError:
                return False

        eventually(answered, "an answer", within=30)
        eventually(lambda: any(call.done() for call in silent_calls), "a silent call that gave way", within=30)


def test_a_connection_has_a_share_of_the_calls(serve: Serve, silence: threading.Event) -> None:
    """A hundred calls of one connection are under way at most; others are answered meanwhile."""
    served = serve(max_concurrent_calls=150)
    with Client(served.address) as silent:
        silent_calls = [keep_silent(silent, silence) for _ in range(400)]
        assert served.client.filter().datacenter == "dc2"
        assert not all(call.done() for call in silent_calls)


def test_an_excess_of_calls_is_refused_at_once(serve: Serve, silence: threading.Event) -> None:
    """With as many calls under way as allowed, one more is RESOURCE_EXHAUSTED at once; health checks still answer."""
    served = serve(max_concurrent_calls=4)
    with ExitStack() as stack:
        silent = stack.enter_context(Client(served.address))
        silent_calls = [keep_silent(silent, silence) for _ in range(10)]
        codes = set()

        def refused() -> bool:
            try:
                served.client.filter()
            except grpc.RpcError as error:
                codes.add(code_of(error))
            return grpc.StatusCode.RESOURCE_EXHAUSTED in codes

        served.client.within = 0.3
        eventually(refused, "a refusal")
        assert not all(call.done() for call in silent_calls)
        check = served.client.channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        assert check(b"", timeout=5) == b"\x08\x01"
    silence.set()
    served.client.within = 5

    def answered() -> bool:
        try:
            return served.client.filter().datacenter == "dc2"
        except grpc.RpcError:
            return False

    eventually(answered, "answers once the silent ones are gone")


def test_a_sidecar_short_of_memory_refuses_new_streams_and_answers_calls(serve: Serve) -> None:
    """Streams get RESOURCE_EXHAUSTED, health and ordinary calls their answers; more memory is not needed for them."""
    served = serve(max_memory=8 * 1024 * 1024)
    eventually(served.server.memory_high, "a process above its limit")
    with pytest.raises(grpc.RpcError) as refused:
        next(served.client.watch())
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "short of memory" in str(refused.value.details())
    assert served.client.filter(a_request(candidates={"dc1": 1})).revision
    assert served.client.healthy()
