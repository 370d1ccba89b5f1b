"""HTTP servers that answer with the name of their datacenter, and a load that counts who answered."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from tests.servers.process import LOOPBACK
from tests.waiting import eventually

_REQUEST = b"GET / HTTP/1.1\r\nHost: billing\r\n\r\n"


class Upstreams:
    """A server for each datacenter, in one loop on a thread; `ports` by datacenter."""

    def __init__(self, *datacenters: str) -> None:
        self.ports: dict[str, int] = {}
        self._datacenters = datacenters
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstreams", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for name in self._datacenters:
            serve = asyncio.start_server(partial(_serve, name), LOOPBACK, 0)
            server = asyncio.run_coroutine_threadsafe(serve, self._loop).result(10)
            self.ports[name] = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _serve(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name.encode()))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """The status of one request, the body, and when it was read (monotonic seconds)."""

    status: int
    body: str
    at: float


class HttpClient:
    """One connection to a proxy that is kept open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout=10)
        self._rest = b""

    def get(self) -> Reply:
        """Make a request. Raises OSError where the connection breaks."""
        self._socket.sendall(_REQUEST)
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return Reply(int(lines[0].split()[1]), body.decode().strip(), time.monotonic())

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("the proxy closed the connection")
        self._rest += received


def count(port: int, requests: int) -> Counter[str]:
    """Return how often each datacenter answered; a status other than 200 is counted in its place."""
    client = HttpClient(port)
    replies = [client.get() for _ in range(requests)]
    client.close()
    return Counter(reply.body if reply.status == 200 else str(reply.status) for reply in replies)


def served_by(port: int) -> str:
    """Return the datacenter that answers, or the status, "" where nothing does."""
    try:
        return next(iter(count(port, 1)))
    except (OSError, StopIteration):
        return ""


class Load:
    """Requests on some connections at once, from entering to leaving; all replies and errors are kept."""

    def __init__(self, port: int, *, connections: int = 4, every: float = 0.004) -> None:
        self.replies: list[Reply] = []
        self.errors: list[str] = []
        self._port = port
        self._every = every
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self.replies) + len(self.errors) > 20, "the load's first replies")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def first(self, datacenter: str, since: int) -> Reply:
        """Wait for a datacenter's first reply from number `since` on."""

        def found() -> Reply | None:
            return next((reply for reply in self.replies[since:] if reply.body == datacenter), None)

        reply = eventually(found, "a reply of the new datacenter", every=0.002)
        assert reply is not None
        return reply

    def failures(self) -> list[str]:
        """Return what went wrong, replies other than 200 included."""
        return [*self.errors, *(f"{reply.status} {reply.body}" for reply in self.replies if reply.status != 200)]

    def _run(self) -> None:
        try:
            client = HttpClient(self._port)
            while not self._stopping.wait(self._every):
                self.replies.append(client.get())
            client.close()
        except OSError as error:
            self.errors.append(repr(error))
