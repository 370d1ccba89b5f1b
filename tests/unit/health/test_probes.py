from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse

from sidecar.errors import ProbeFailed
from sidecar.health.probes import attempt
from sidecar.routing.model import Probe, ProbeKind
from tests.servers.process import LOOPBACK, free_port

Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that send the given pieces, with a pause before each, to whoever connects; return their port."""
    sockets: list[socket.socket] = []

    def start(*pieces: bytes, pause: float = 0.0) -> int:
        listener = socket.create_server((LOOPBACK, 0))
        sockets.append(listener)

        def answer() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
                        for piece in pieces:
                            time.sleep(pause)
                            connection.sendall(piece)
            except OSError:
                return

        threading.Thread(target=answer, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for each in sockets:
        each.close()


def tcp(port: int) -> Probe:
    """Return a probe of a port of loopback."""
    return Probe(ProbeKind.TCP, f"{LOOPBACK}:{port}", LOOPBACK, port)


def http(port: int, expect: int = 200) -> Probe:
    """Return a probe that wants a status of HTTP."""
    return Probe(ProbeKind.HTTP, f"http://{LOOPBACK}:{port}/healthz?deep=1", LOOPBACK, port, expect)


def fails(probe: Probe, words: str, timeout: float = 5.0) -> None:
    """Check that the probe fails in time, and with which words."""
    began = time.monotonic()
    with pytest.raises(ProbeFailed, match=words):
        attempt(probe, [LOOPBACK], timeout)
    assert time.monotonic() - began < timeout + 1


def test_a_connection_that_is_taken_is_a_success(serve: Serve) -> None:
    """A TCP probe passes where something listens, and fails with the reason where nothing does."""
    attempt(tcp(serve()), [LOOPBACK], 5)
    fails(tcp(free_port()), "^connection refused$")


def test_the_next_address_of_a_name_is_tried(serve: Serve) -> None:
    """A probe passes when one of the name's addresses takes the connection."""
    attempt(tcp(serve()), ["127.0.0.9", LOOPBACK], 5)


def test_http_wants_the_expected_status(serve: Serve) -> None:
    """The status decides, 200 or what `expect` says; the rest of the answer is not even read."""
    attempt(http(serve(b"HTTP/1.1 200 OK\r\n", b"x" * 100_000)), [LOOPBACK], 5)
    attempt(http(serve(b"HTTP/1.1 20", b"4\r\n"), expect=204), [LOOPBACK], 5)
    fails(http(serve(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")), "^answered 503, expected 200$")
    fails(http(serve(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere\r\n\r\n")), "^answered 302, expected 200$")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"y" * 5000, b"HTTP/1.1\r\n", b"HTTP/1.1 two\r\n"])
def test_what_is_not_http_is_a_failure(serve: Serve, answer: bytes) -> None:
    """No answer, another protocol, an endless line: a failure that says so."""
    fails(http(serve(answer)), "the answer is not HTTP|connection reset")


def test_a_slow_answer_does_not_take_longer_than_allowed(serve: Serve) -> None:
    """Also an answer that comes a byte at a time ends with the timeout."""
    fails(http(serve(*[b"H"] * 100, pause=0.05)), "^no answer in time$", timeout=0.3)


@pytest.fixture
def health() -> Iterator[tuple[HealthServicer, int]]:
    """Run a gRPC server with the standard health service."""
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    yield servicer, port
    server.stop(0)


def test_grpc_asks_the_health_service(health: tuple[HealthServicer, int], serve: Serve) -> None:
    """SERVING passes, for all or for one service; any other status, an unknown service, and no gRPC fail."""
    servicer, port = health

    def probe(service: str = "") -> Probe:
        return Probe(ProbeKind.GRPC, f"{LOOPBACK}:{port}", LOOPBACK, port, service=service)

    attempt(probe(), [LOOPBACK], 5)
    servicer.set("jobs", HealthCheckResponse.NOT_SERVING)
    fails(probe("jobs"), "^answered NOT_SERVING$")
    servicer.set("jobs", HealthCheckResponse.SERVING)
    attempt(probe("jobs"), [LOOPBACK], 5)
    fails(probe("unknown"), "^answered NOT_FOUND$")
    other = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    fails(Probe(ProbeKind.GRPC, f"{LOOPBACK}:{other}", LOOPBACK, other), "^answered ", timeout=2)
