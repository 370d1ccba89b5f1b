"""Connections beyond the bound."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sidecar.server.connection_guard import Connection, ConnectionGuard
from tests.waiting import eventually


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close the sockets of a test at its end."""
    with ExitStack() as found:
        yield found


def _connected(stack: ExitStack, listener: socket.socket, count: int, content: bytes) -> list[socket.socket]:
    """Return the ends of clients that have sent something; the other ends stay open in this process as well."""
    clients = []
    for _ in range(count):
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        client.sendall(content)
        clients.append(client)
        stack.enter_context(listener.accept()[0])
    return clients


def _open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


def test_connections_that_have_sent_least_are_closed(stack: ExitStack) -> None:
    """As many as there are too many, once they are not of a moment ago; those to other ports are not looked at."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    talking = _connected(stack, listener, 3, b"x" * 100)
    silent = _connected(stack, listener, 3, b"x")
    apart = _connected(stack, other, 6, b"")
    clock = _Clock()
    guard = ConnectionGuard(4, clock=clock)
    guard.start(frozenset())
    guard._ports = frozenset([listener.getsockname()[1]])
    guard.look()
    assert all(map(_open, [*talking, *silent, *apart]))
    clock.now += 1
    guard.look()
    eventually(lambda: not _open(silent[0]) and not _open(silent[1]), "two connections closed")
    assert all(map(_open, [*talking, silent[2], *apart]))


def test_a_thread_looks(stack: ExitStack) -> None:
    """Without anything asking for it, within the bound of each port."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    clients = _connected(stack, listener, 5, b"")
    guard = ConnectionGuard(2)
    guard.start(frozenset([listener.getsockname()[1]]))
    eventually(lambda: sum(map(_open, clients)) == 2, "two connections left")
    guard.stop()


def test_new_connections_are_spared() -> None:
    """They have had no time to send; the oldest silent ones go."""
    guard = ConnectionGuard(2, clock=_Clock())
    guard._ports = frozenset([1])
    guard._first_seen = {1: 99.0, 2: 98.0, 3: 99.9, 4: 97.0}
    found = [Connection(1, 1, 0), Connection(2, 1, 0), Connection(3, 1, 0), Connection(4, 1, 50), Connection(5, 2, 0)]
    assert guard.excess(found) == {1, 2}
    assert guard.excess(found[:2]) == frozenset()


def test_none_that_has_sent_more_goes_in_place_of_a_new_one() -> None:
    """While a flood of new connections is too young to be closed, those of others stay."""
    guard = ConnectionGuard(1, clock=_Clock())
    guard._ports = frozenset([1])
    guard._first_seen = {1: 10.0, 2: 99.9, 3: 99.9}
    found = [Connection(1, 1, 5000), Connection(2, 1, 0), Connection(3, 1, 0)]
    assert guard.excess(found) == frozenset()
    guard._first_seen = {1: 10.0, 2: 99.0, 3: 99.0}
    assert guard.excess(found) == {2, 3}


def test_in_a_flood_connections_are_spared_for_less(stack: ExitStack) -> None:
    """Beyond twice the bound, silent ones go after 20 ms; while fewer come they have ten times as long."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    clock = _Clock()
    guard = ConnectionGuard(3, clock=clock)
    guard._ports = frozenset([listener.getsockname()[1]])
    few = _connected(stack, listener, 6, b"")
    for _ in range(2):
        guard.look()
        clock.now += 0.03
    assert all(map(_open, few))
    many = _connected(stack, listener, 4, b"x" * 100)
    for _ in range(2):
        guard.look()
        clock.now += 0.03
    eventually(lambda: not any(map(_open, few)), "all that sent nothing are closed")
    assert sum(map(_open, many)) == 3
