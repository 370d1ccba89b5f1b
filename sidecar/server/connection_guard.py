"""Bounds the connections of gRPC: beyond the bound those that have sent least are closed, so others are served."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from sidecar.gil import Yielder

# A client sends right after it has connected.
_YOUNG_S = 0.2
_LOOK_S = 0.1
# Beyond so many times the bound, connections come faster than that allows: gRPC would soon refuse all new ones.
_FLOOD = 2
_FLOOD_YOUNG_S = 0.02
_FLOOD_LOOK_S = 0.02
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_NONE: Mapping[int, tuple[socket.AddressFamily, int]] = {}
# Where `tcpi_bytes_received` stands in Linux's tcp_info.
_TCP_INFO_BYTES = 136
_RECEIVED_AT = 128


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection: the number that the kernel knows it by, the local port, the bytes received so far."""

    inode: int
    port: int
    received: int


class ConnectionGuard:
    """Looks ten times a second at the TCP connections to some ports; closes what exceeds `bound` for each.

    Beyond twice the bound it looks every 20 ms, and spares connections for as long only.

    gRPC refuses all connections beyond a bound of its own: a client that opens idle ones would keep
    all others away. So that bound is higher, and this closes the connections that have sent least, those of a moment
    ago excepted. gRPC sees them as closed by the client.
    """

    def __init__(self, bound: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bound = bound
        self._clock = clock
        self._ports: frozenset[int] = frozenset()
        self._first_seen: dict[int, float] = {}
        # Of connections seen before, by inode: what does not change.
        self._known: dict[int, tuple[socket.AddressFamily, int]] = {}
        self._flooded = False
        self._checkpoint = Yielder()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connections", daemon=True)

    def start(self, ports: frozenset[int]) -> None:
        """Start to look at the connections to these ports."""
        self._ports = ports
        if ports:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def look(self) -> None:
        """Look once."""
        descriptors = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - ten times a second
        if len(descriptors) <= self._bound:
            self._first_seen.clear()
            self._known.clear()
            self._flooded = False
            return
        connections = list(self._connections(descriptors))
        self._known = {each.inode: self._known[each.inode] for each in connections}
        self._flooded = len(connections) > _FLOOD * self._bound
        now = self._clock()
        self._first_seen = {each.inode: self._first_seen.get(each.inode, now) for each in connections}
        closing_now = self.excess(connections)
        if closing_now:
            _close(descriptors, closing_now)

    def excess(self, connections: list[Connection]) -> frozenset[int]:
        """Return the inodes of the connections to close; notes nothing."""
        found: set[int] = set()
        for port in self._ports:
            here = [each for each in connections if each.port == port]
            over = len(here) - self._bound
            if over > 0:
                before = self._clock() - (_FLOOD_YOUNG_S if self._flooded else _YOUNG_S)
                here.sort(key=lambda each: (each.received, self._first_seen.get(each.inode, 0.0)))
                # A young one is spared, and none that has sent more is closed in its place.
                least = here[:over]
                found.update(each.inode for each in least if self._first_seen.get(each.inode, before) <= before)
        return frozenset(found)

    def _run(self) -> None:
        while not self._stopping.wait(_FLOOD_LOOK_S if self._flooded else _LOOK_S):
            # Where there is no /proc, gRPC's own bound is the only one.
            with suppress(OSError):
                self.look()

    def _connections(self, descriptors: list[int]) -> Iterator[Connection]:
        for descriptor in descriptors:
            # A thousand take 10 ms, in which calls must be answered.
            self._checkpoint()
            with suppress(OSError), closing(_duplicate(descriptor, self._known)) as connection:
                inode = os.fstat(connection.fileno()).st_ino
                if inode not in self._known:
                    if connection.type != socket.SOCK_STREAM or connection.family not in _FAMILIES:
                        continue
                    port = connection.getsockname()[1]
                    if port not in self._ports:
                        continue
                    # Raises for the listener.
                    connection.getpeername()
                    self._known[inode] = socket.AddressFamily(connection.family), port
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
                received = struct.unpack_from("Q", info, _RECEIVED_AT)[0] if len(info) >= _TCP_INFO_BYTES else 0
                yield Connection(inode, self._known[inode][1], received)


def _close(descriptors: list[int], inodes: frozenset[int]) -> None:
    """Shut connections down. The descriptors stay gRPC's, which closes them; the inode makes sure of which it is."""
    for descriptor in descriptors:
        with suppress(OSError), closing(_duplicate(descriptor)) as connection:
            if os.fstat(connection.fileno()).st_ino in inodes:
                connection.shutdown(socket.SHUT_RDWR)


def _duplicate(descriptor: int, known: Mapping[int, tuple[socket.AddressFamily, int]] = _NONE) -> socket.socket:
    """Return a socket of our own for a descriptor that another part may close at any time. Raises OSError for others.

    Being ours, it stays what it is while it is looked at. Python asks the kernel for the family of one that is not
    `known` by its inode.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError
    family, _ = known.get(found.st_ino, (-1, 0))
    kind = -1 if family == -1 else socket.SOCK_STREAM
    return socket.socket(family, kind, -1 if family == -1 else 0, fileno=os.dup(descriptor))
