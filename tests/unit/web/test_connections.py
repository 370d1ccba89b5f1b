"""HTTP connections are bounded: who waits gives way, who is served stays."""

from __future__ import annotations

import gc
import resource
import socket
import sys
import weakref
from collections.abc import Iterator

import pytest

from sidecar.web.connections import MOST, READ_S, REQUEST_S, BoundedListener, HttpConnections, most_connections


class Clients:
    """Connections, each with the client's end, and a clock that the test sets."""

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.connections = HttpConnections(most, clock=lambda: self.now)
        self.ends: list[tuple[socket.socket, socket.socket]] = []

    def open(self) -> bool:
        """Open one more; return whether it was taken."""
        server, client = socket.socketpair()
        client.settimeout(1)
        self.ends.append((server, client))
        return self.connections.add(server)

    def fd(self, number: int) -> int:
        return self.ends[number][0].fileno()

    def ended(self, number: int) -> bool:
        """Return whether the client sees an end."""
        client = self.ends[number][1]
        client.setblocking(False)
        try:
            return client.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Two connections at most."""
    clients = Clients(2)
    yield clients
    for pair in clients.ends:
        for end in pair:
            end.close()


def test_the_one_that_waited_longest_gives_way(clients: Clients) -> None:
    """Half-sent requests keep nobody out: the oldest of them is ended for a new connection."""
    assert [clients.open() for _ in range(4)] == [True] * 4
    assert [clients.ended(number) for number in range(4)] == [True, True, False, False]
    assert len(clients.connections) == 2


def test_who_is_served_stays(clients: Clients) -> None:
    """A connection that handles a request is not ended; with none that waits the new one is refused."""
    assert clients.open()
    assert clients.open()
    clients.connections.handle_request(clients.fd(0))
    assert clients.open()
    assert [clients.ended(number) for number in range(3)] == [False, True, False]
    clients.connections.handle_request(clients.fd(2))
    assert not clients.open()
    clients.connections.wait_for_request(clients.fd(0))
    assert clients.open()
    assert clients.ended(0)


def test_who_does_not_read_gives_way_last(clients: Clients) -> None:
    """A response that is not read counts as waiting, behind half-sent requests."""
    assert clients.open()
    assert clients.open()
    clients.connections.handle_request(clients.fd(0))
    clients.connections.wait_for_reader(clients.fd(0))
    assert clients.open()
    clients.connections.handle_request(clients.fd(2))
    assert clients.open()
    assert [clients.ended(number) for number in range(4)] == [True, True, False, False]


def test_slow_clients_are_ended(clients: Clients) -> None:
    """A request that does not arrive, and a response that is not read, have a time limit each."""
    assert clients.open()
    assert clients.open()
    clients.connections.handle_request(clients.fd(1))
    clients.connections.wait_for_reader(clients.fd(1))
    clients.now = REQUEST_S + 1
    clients.connections.end_overdue()
    assert [clients.ended(0), clients.ended(1)] == [True, False]
    clients.connections.was_read(clients.fd(1))
    clients.connections.wait_for_reader(clients.fd(1))
    clients.now += READ_S
    clients.connections.end_overdue()
    assert not clients.ended(1)
    clients.now += 1
    clients.connections.end_overdue()
    assert clients.ended(1)
    assert len(clients.connections) == 0


@pytest.mark.parametrize("tls", [False, True])
def test_a_refused_client_is_told(tls: bool) -> None:
    """It gets a whole 503, where it can read one, and an end; its descriptor is closed."""
    with BoundedListener() as listener:
        listener.connections = HttpConnections(1)
        listener.tls = tls
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname(), timeout=5) as first:
            accepted, _ = listener.accept()
            listener.connections.handle_request(accepted.fileno())
            with socket.create_connection(listener.getsockname(), timeout=5) as second:
                with pytest.raises(ConnectionAbortedError):
                    listener.accept()
                said = b""
                while part := second.recv(1000):
                    said += part
            head, _, body = said.partition(b"\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 503 ") is not tls
            if not tls:
                assert f"Content-Length: {len(body)}".encode() in head
            accepted.close()
            assert len(listener.connections) == 0
            del first


class _Node:
    """Part of a cycle, as asyncio's objects of a TLS connection are."""

    other: _Node


@pytest.mark.parametrize("tls", [True, False])
def test_the_garbage_of_tls_connections_is_collected(tls: bool) -> None:
    """A flood of them leaves none behind; where they leave none, no time is spent on it."""
    connections = HttpConnections(10, tls=tls)
    gc.disable()
    try:
        node, other = _Node(), _Node()
        node.other, other.other = other, node
        gone = weakref.ref(node)
        del node, other
        for descriptor in range(64):
            connections.remove(descriptor)
        assert (gone() is None) is tls
    finally:
        gc.enable()


@pytest.mark.parametrize(("soft", "most"), [(1024, 256), (400, 100), (resource.RLIM_INFINITY, MOST), (3, 1)])
def test_http_has_a_share_of_the_descriptors(monkeypatch: pytest.MonkeyPatch, soft: int, most: int) -> None:
    """A quarter of the soft limit at most: gRPC, the source and files have the rest."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert most_connections() == most
    assert most_connections(1024**3) == most
    assert most_connections(16 * 1024**2) == min(most, 32)


def test_threads_take_short_turns_while_there_are_many() -> None:
    """Above 32 connections calls need not wait for those who answer them all; below, turns are as usual."""
    many = Clients(100)
    usual = sys.getswitchinterval()
    try:
        for _ in range(32):
            many.open()
        assert sys.getswitchinterval() == usual
        many.open()
        many.open()
        assert sys.getswitchinterval() < usual
        many.connections.remove(many.fd(0))
        assert sys.getswitchinterval() < usual
        many.connections.remove(many.fd(1))
        assert sys.getswitchinterval() == usual
    finally:
        for number in range(len(many.ends)):
            many.connections.remove(many.fd(number))
        for pair in many.ends:
            for end in pair:
                end.close()
