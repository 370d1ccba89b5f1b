"""Requests of a stream: read one ahead, taken without waiting or read until the end, the client's or the server's."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from sidecar.errors import NotServing
from sidecar.server.request_reader import RequestReader
from tests.waiting import eventually


class Client:
    """The requests of a client as gRPC yields them; an exception is raised where it stands."""

    def __init__(self, *requests: bytes) -> None:
        self.sent: queue.Queue[bytes | Exception | None] = queue.Queue()
        self.received = 0
        for request in requests:
            self.sent.put(request)

    def __iter__(self) -> Iterator[bytes]:
        while (request := self.sent.get()) is not None:
            if isinstance(request, Exception):
                raise request
            self.received += 1
            yield request


def test_requests_are_read_one_ahead() -> None:
    """Beyond the one that waits to be taken, one is held by the reading thread: the others stay at the client."""
    client = Client(b"1", b"2", b"3", b"4")
    reader = RequestReader(iter(client))
    eventually(lambda: client.received == 2, "the second request", within=5)
    assert reader.take() == (b"1", False)
    eventually(lambda: client.received == 3, "the third request", within=5)
    reader.close()


def test_taking_never_waits() -> None:
    """Without a request there is None; `came` is called for each request and for the end."""
    client, came = Client(), threading.Semaphore(0)
    reader = RequestReader(iter(client), came.release)
    assert reader.take() == (None, False)
    client.sent.put(b"1")
    assert came.acquire(timeout=5)
    assert reader.take() == (b"1", False)
    client.sent.put(None)
    assert came.acquire(timeout=5)
    assert reader.take() == (None, True)


def test_reading_ends_with_the_client() -> None:
    """All its requests are yielded first."""
    client = Client(b"1", b"2")
    client.sent.put(None)
    assert list(RequestReader(iter(client)).read()) == [b"1", b"2"]


def test_the_error_of_a_client_that_is_gone_is_raised() -> None:
    """It is gRPC's own, and comes after the requests before it."""
    client = Client(b"1")
    client.sent.put(ConnectionError("gone"))
    reading = RequestReader(iter(client)).read()
    assert next(reading) == b"1"
    with pytest.raises(ConnectionError, match="gone"):
        next(reading)


def test_reading_ends_with_the_server() -> None:
    """No further request is read, though the client has sent one."""
    reader = RequestReader(iter(Client(b"1", b"2")))
    reading = reader.read()
    assert next(reading) == b"1"
    reader.end()
    with pytest.raises(NotServing):
        next(reading)
    reader.close()


def test_closing_ends_the_thread() -> None:
    """Also while the next request waits for the one before to be taken."""
    client = Client(b"1", b"2")
    before = set(threading.enumerate())
    reader = RequestReader(iter(client))
    (thread,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "requests")
    eventually(lambda: client.received == 2, "the second request", within=5)
    reader.close()
    eventually(lambda: not thread.is_alive(), "the end of the thread", within=5)
