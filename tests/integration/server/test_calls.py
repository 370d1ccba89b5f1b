"""The calls of RoutingService over a real connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from sidecar import __version__
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import SERVICE, a_request, code_of, details_of
from tests.integration.server.conftest import Serve
from tests.waiting import eventually


def test_a_decision(serve: Serve) -> None:
    """FilterWorkers answers with the addresses, their places, the datacenter, why, and by what."""
    served = serve()
    answer = served.client.filter(a_request(candidates={"dc1": 1, "dc2": 2}))
    state = served.table.view.state
    assert state is not None
    assert answer == pb.FilterWorkersResponse(
        addresses=["dc2-0:27777", "dc2-1:27777"],
        indices=[1, 2],
        datacenter="dc2",
        reason=pb.REASON_ACTIVE,
        revision=state.document.revision,
        generation=state.generation,
    )


def test_indices_only(serve: Serve) -> None:
    """A client that wants no addresses gets the same decision in fewer bytes."""
    request = a_request(candidates={"dc1": 1, "dc2": 2})
    request.indices_only = True
    answer = serve().client.filter(request)
    assert (list(answer.addresses), list(answer.indices)) == ([], [1, 2])


def test_a_change_is_in_the_next_answer(serve: Serve) -> None:
    """Equal requests are answered anew under each State: new document, lost source, source back."""
    served = serve()
    assert served.client.filter().datacenter == "dc2"
    revision = served.put("dc3")
    changed = served.client.filter()
    assert (changed.datacenter, changed.revision, changed.stale) == ("dc3", revision, False)
    served.source.lose()
    eventually(lambda: served.client.filter().stale, "a stale answer")
    served.put("dc3")
    eventually(lambda: not served.client.filter().stale, "a fresh answer")


def test_a_refused_document_changes_nothing(serve: Serve) -> None:
    """The last good document decides, and GetStatus reports what is wrong with the newest one."""
    served = serve()
    before = served.client.filter()
    served.source.put("apps: [")
    eventually(lambda: served.client.status().source_state == pb.SOURCE_STATE_REJECTED, "a refusal")
    assert served.client.filter() == before
    assert "(line 2, column 1)" in served.client.status().source_error


def test_a_stream_answers_in_order(serve: Serve) -> None:
    """Each request of a FilterWorkersStream gets the answer that FilterWorkers gives, in the order of the requests."""
    client = serve().client
    requests = [a_request(app, str(job)) for job in range(50) for app in ("billing", "reports", "other")]
    assert client.stream(requests) == [client.filter(request) for request in requests]


def test_a_bad_request_ends_its_stream(serve: Serve) -> None:
    """The answers before it arrive, then the stream ends with INVALID_ARGUMENT and the field; the server goes on."""
    client = serve().client
    answers = client._stream(iter([a_request(), a_request(""), a_request()]))
    assert next(answers).datacenter == "dc2"  # type: ignore[call-overload]
    with pytest.raises(grpc.RpcError, match="app: found nothing") as refused:
        next(answers)  # type: ignore[call-overload]
    assert code_of(refused.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert client.filter().datacenter == "dc2"


@pytest.mark.parametrize("method", ["FilterWorkers", "GetRoute", "GetStatus"])
def test_bytes_that_are_no_request(serve: Serve, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Undecodable bytes are INVALID_ARGUMENT, with no word of Python's to the client and no line in the log."""
    call = serve().client.channel.unary_unary(SERVICE + method, None, None)
    with pytest.raises(grpc.RpcError, match=r"request: found 3 bytes that are no dcsidecar\.v1") as refused:
        call(b"\x0a\xff\x01", timeout=5)
    assert code_of(refused.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert not caplog.records


def test_bytes_that_are_no_watch(serve: Serve) -> None:
    """A WatchRoutes that cannot be decoded, or names what is too long, is INVALID_ARGUMENT too."""
    client = serve().client
    raw = client.channel.unary_stream(SERVICE + "WatchRoutes", None, None)
    for request, what in ((b"\x0a\xff\x01", "request"), (b"\x0a\xac\x02" + b"x" * 300, r"apps\[0\]")):
        with pytest.raises(grpc.RpcError, match=what) as refused:
            next(raw(request, timeout=5))  # type: ignore[call-overload]
        assert code_of(refused.value) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_defect_is_told_in_our_words(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw is INTERNAL without Python's words, its traceback once in the log however many calls fail."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret of the implementation")

    client = serve().client
    monkeypatch.setattr("sidecar.server.decisions.decide_among", fail)
    for _ in range(5):
        with pytest.raises(grpc.RpcError) as failed:
            client.filter()
        assert code_of(failed.value) is grpc.StatusCode.INTERNAL
        assert details_of(failed.value) == "internal error of the sidecar; see its log"
    with pytest.raises(grpc.RpcError, match="internal error of the sidecar"):
        client.stream([a_request()])
    assert caplog.text.count("ZeroDivisionError: secret") == 1


def test_the_route_of_an_application(serve: Serve) -> None:
    """GetRoute reports what the document says; an application that it does not name has the default route."""
    client = serve().client
    assert client.route("billing").weights[0].datacenter == "dc2"
    assert {entry.datacenter: entry.weight for entry in client.route("reports").weights} == {"dc1": 1, "dc3": 3}
    assert client.route("other") == client.route()
    with pytest.raises(grpc.RpcError, match="job: found 257 characters"):
        client.route("billing", "x" * 257)


def test_the_status(serve: Serve) -> None:
    """GetStatus reports the version, the source, and how fresh the document is."""
    served = serve(environment="prod")
    status = served.client.status()
    assert status.environment == "prod"
    assert serve().client.status().environment == ""
    view = served.table.view
    assert (status.version, status.source, status.source_state) == (__version__, "fake:routing", pb.SOURCE_STATE_SYNCED)
    assert status.applied_at_ms == view.status.applied_at_ns // 1_000_000
    assert status.confirmed_at_ms >= status.applied_at_ms > 1_700_000_000_000


def test_without_a_document(serve: Serve) -> None:
    """Decisions and routes are UNAVAILABLE and say why, the status answers, a watch waits for the first document."""
    served = serve(None)
    client = served.client
    for call in (client.filter, client.route, lambda: client.stream([a_request()])):
        with pytest.raises(grpc.RpcError, match="the source is MISSING: there is no key") as refused:
            call()
        assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE
    assert client.status().source_state == pb.SOURCE_STATE_MISSING
    updates = client.watch()
    threading.Timer(0.05, served.source.put, ("dc2",)).start()
    assert next(updates).default_route.weights[0].datacenter == "dc2"


def test_an_unknown_method(serve: Serve) -> None:
    """What is not served is UNIMPLEMENTED."""
    call = serve().client.channel.unary_unary(SERVICE + "DropTables", None, None)
    with pytest.raises(grpc.RpcError) as refused:
        call(b"", timeout=5)
    assert code_of(refused.value) is grpc.StatusCode.UNIMPLEMENTED


def test_a_call_without_a_request(serve: Serve) -> None:
    """A client that ends its side before its request gets UNIMPLEMENTED, as gRPC has it; a stream just ends."""
    client = serve().client
    call = client.channel.stream_unary(SERVICE + "FilterWorkers", None, None)
    with pytest.raises(grpc.RpcError) as refused:
        call(iter(()), timeout=10)
    assert code_of(refused.value) is grpc.StatusCode.UNIMPLEMENTED
    assert client.stream([]) == []


def test_clients_that_go_leave_nothing_behind(serve: Serve) -> None:
    """Calls and streams that are given up at any moment are forgotten, and the others answered all along."""
    served = serve()
    hushed = threading.Event()
    stream = served.client.channel.stream_stream(SERVICE + "FilterWorkersStream", None, None)
    unary = served.client.channel.stream_unary(SERVICE + "FilterWorkers", None, None)
    request = a_request().SerializeToString()

    def asking(times: int) -> Iterator[bytes]:
        yield from [request] * times
        hushed.wait()

    for times in range(60):
        given_up: Any = stream(asking(times % 4))
        silent: Any = unary.future(asking(0))
        if times % 4 and times % 3:
            next(given_up)
        given_up.cancel()
        silent.cancel()
        assert served.client.filter().datacenter == "dc2"
    server = served.server
    eventually(lambda: server._calls.empty and server._streams.empty, "calls that were given up forgotten")
    ended = {method.method: method for method in server.stats.methods}["FilterWorkersStream"]
    # One that is given up soon enough never comes. On threads, gRPC shows some as streams that the client closed.
    started = ended.started.read()
    eventually(lambda: sum(number for _, number in ended.handled()) == started, "each counted once")
    if server._engine.name == "direct":
        assert dict(ended.handled()) == {"OK": 0, "CANCELLED": started}
    assert len(served.client.stream([a_request()] * 100)) == 100
    hushed.set()


@pytest.mark.parametrize("serve", ["direct"], indirect=True)
@pytest.mark.parametrize(
    "broken_part", ["_send_last", "_UnaryCall.begin"], ids=["when it is sent", "when a call begins"]
)
def test_a_failure_beside_the_answer_ends_one_call(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, broken_part: str
) -> None:
    """What fails on gRPC's own thread ends the call at hand and no other: the thread goes on."""
    served = serve()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(f"sidecar.server.direct.{broken_part}", fail)
        with pytest.raises(grpc.RpcError):
            served.client.filter()
    assert served.client.filter().datacenter == "dc2"
    eventually(lambda: served.server._calls.empty, "both calls forgotten")
