"""A TCP proxy that tests put before a server to break the network: refuse, drop silently, half-open, cut, delay."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.servers.process import LOOPBACK, free_port


@dataclass(slots=True)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    forgotten: bool = False


class TcpProxy:
    """Listens on `port` of loopback and passes bytes to and from `target_port` until told otherwise.

    One thread, whatever the number of connections. Use as a context manager. Each method returns when it has taken
    effect, and each state holds until the next one is chosen.
    """

    def __init__(self, target_port: int, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.accepted = 0
        self._targets = itertools.cycle((target_port,))
        self._seconds = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self.forward()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    def forward(self) -> None:
        """Let everything through, what was dropped meanwhile included: TCP would have sent it again."""
        self._do(self._listen, self._flowing.set)

    def drop(self) -> None:
        """Let no byte through in either direction, silently: connections stay open, new ones are taken and hang."""
        self._do(self._flowing.clear)

    def refuse(self) -> None:
        """Cut what is open and refuse what comes, as a host does where nothing listens."""
        self._do(self._close, self._cut)

    def cut(self) -> None:
        """Reset the connections that are open; new ones are as welcome as before."""
        self._do(self._cut)

    def half_open(self) -> None:
        """End the open connections towards the server only: clients go on with a peer that has forgotten them."""
        self._do(self._forget)

    def lead_to(self, *target_ports: int) -> None:
        """Take new connections to another server, or to several in turn, as a load balancer does."""
        self._targets = itertools.cycle(target_ports)

    def delay(self, seconds: float) -> None:
        """Hold each piece of data for so long, in both directions; 0 ends it."""
        self._seconds = seconds

    def _do(self, *steps: Callable[[], object]) -> None:
        async def act() -> None:
            for step in steps:
                result = step()
                if asyncio.iscoroutine(result):
                    await result

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        for task, connection in self._connections.items():
            _reset(connection.client)
            if connection.server is not None:
                _reset(connection.server)
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _forget(self) -> None:
        for connection in self._connections.values():
            connection.forgotten = True
            if connection.server is not None:
                connection.server.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        connection = self._connections[task] = _Connection(writer)
        try:
            await self._flowing.wait()
            server_reader, connection.server = await asyncio.open_connection(LOOPBACK, next(self._targets))
            ways = self._pump(reader, connection.server, connection), self._pump(server_reader, writer, connection)
            await asyncio.gather(*ways)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            del self._connections[task]
            writer.transport.abort()
            if connection.server is not None:
                connection.server.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            if self._seconds:
                await asyncio.sleep(self._seconds)
            if not connection.forgotten:
                writer.write(data)
                await writer.drain()
        if not connection.forgotten:
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
