"""Where the server listens, and how it ends."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from sidecar.errors import ConfigError
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from tests.harness import SERVICE, Client, a_request, code_of
from tests.integration.server.conftest import Serve
from tests.waiting import eventually


def test_several_listeners(serve: Serve) -> None:
    """Each address is reported with the port that it has, and serves the same."""
    with TemporaryDirectory(prefix="sidecar-") as folder:
        path = Path(folder) / "s"
        served = serve(listen=(f"unix:{path}",))
        more = Server(
            served.table, settings=ServerSettings(listen=("127.0.0.1:0", "[::1]:0", "localhost:0", f"unix:{folder}/t"))
        )
        addresses = more.start()
        try:
            assert not any(address.endswith(":0") for address in addresses)
            for address in addresses:
                with Client(address) as client:
                    assert client.filter().datacenter == "dc2"
            assert path.stat().st_mode & 0o777 == 0o660
        finally:
            more.stop(1)
        assert not Path(folder, "t").exists()
        assert path.is_socket()


def test_a_failed_start_leaves_nothing_behind(serve: Serve) -> None:
    """Where the second address cannot be had, the first one is free again and its socket gone."""
    with TemporaryDirectory(prefix="sidecar-") as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        listen = (f"unix:{folder}/s", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ConfigError, match="in use"):
            Server(RoutingTable(), settings=ServerSettings(listen=listen)).start()
        assert not os.listdir(folder)  # noqa: PTH208 - names are enough
        assert serve(listen=listen[:1]).client.filter().datacenter == "dc2"


def test_two_servers_do_not_share_a_port_unless_told_to(serve: Serve) -> None:
    """A second server on a port is an error; with `reuse_port` on both it is not."""
    first = serve(listen=("127.0.0.1:0",))
    with pytest.raises(ConfigError, match="in use"):
        Server(RoutingTable(), settings=ServerSettings(listen=(first.address,))).start()
    shared = serve(listen=("127.0.0.1:0",), reuse_port=True)
    second = Server(shared.table, settings=ServerSettings(listen=(shared.address,), reuse_port=True))
    assert second.start() == [shared.address]
    second.stop(1)


def test_a_call_under_way_finishes(serve: Serve) -> None:
    """A call that has begun is answered though the server goes down; a new one is UNAVAILABLE."""
    served = serve()
    go = threading.Event()

    def late() -> Iterator[bytes]:
        go.wait()
        yield a_request().SerializeToString()

    call = served.client.channel.stream_unary(SERVICE + "FilterWorkers", None, None).future(late())
    eventually(lambda: not served.server._calls.empty, "a call under way")
    stopping = threading.Thread(target=served.server.stop, args=(20,))
    began = time.monotonic()
    stopping.start()

    def refused() -> grpc.StatusCode | None:
        try:
            served.client.filter()
        except grpc.RpcError as error:
            return code_of(error)
        return None

    assert eventually(refused, "new calls refused") is grpc.StatusCode.UNAVAILABLE
    go.set()
    assert b"dc2" in call.result(10)
    stopping.join(10)
    assert time.monotonic() - began < 10


def test_a_stream_ends_after_the_answer_at_hand(serve: Serve) -> None:
    """A stream that waits for its next request ends with UNAVAILABLE, having had every answer that it asked for."""
    served = serve()
    silence = threading.Event()

    def requests() -> Iterator[pb.FilterWorkersRequest]:
        yield a_request()
        silence.wait()

    answers = served.client._stream(requests())
    assert next(answers).datacenter == "dc2"  # type: ignore[call-overload]
    stopping = threading.Thread(target=served.server.stop, args=(20,))
    stopping.start()
    with pytest.raises(grpc.RpcError, match="shutting down") as ended:
        next(answers)  # type: ignore[call-overload]
    assert code_of(ended.value) is grpc.StatusCode.UNAVAILABLE
    stopping.join(5)
    assert not stopping.is_alive()
    silence.set()


@pytest.mark.timed
def test_calls_that_do_not_finish_are_cancelled(serve: Serve) -> None:
    """The grace period is the most that a call can hold the end up."""
    served = serve()
    silence = threading.Event()
    call = served.client.channel.stream_unary(SERVICE + "FilterWorkers", None, None).future(
        iter(lambda: silence.wait() and None, None)
    )
    eventually(lambda: not served.server._calls.empty, "a call under way")
    began = time.monotonic()
    served.server.stop(0.5)
    assert time.monotonic() - began < 3
    eventually(call.done, "the call cancelled")
    silence.set()
