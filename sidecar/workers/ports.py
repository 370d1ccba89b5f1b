"""Keeps the ports that worker processes share bound for as long as the sidecar runs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from sidecar.errors import ConfigError
from sidecar.server.listeners import TcpAddress, parse_addresses


class SharedPorts:
    """Binds the addresses without listening on them; `addresses` has the ports that the kernel chose.

    Raises ConfigError for a Unix socket, which processes cannot share, and for what `Server` would refuse: an address
    in use, or one beyond loopback that would be served in plain text.
    """

    def __init__(self, listen: Sequence[str], *, plaintext: bool) -> None:
        self._bound: list[socket.socket] = []
        self.addresses = tuple(self._keep(text, plaintext=plaintext) for text in listen)

    def close(self) -> None:
        """Release the ports."""
        for bound in self._bound:
            bound.close()

    def _keep(self, text: str, *, plaintext: bool) -> str:
        (address,) = parse_addresses([text])
        if not isinstance(address, TcpAddress):
            raise ConfigError(
                f"--workers: processes cannot share {address}: expected host:port for --listen, or --workers 1"
            )
        address.check(plaintext=plaintext, reuse_port=False)
        port = address.port
        found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, (host, _, *more) in found:
            try:
                bound = self._bind(family, (host, port, *more))
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    continue
                raise ConfigError(f"--listen {address}: {error.strerror}") from None
            port = bound.getsockname()[1]
        return str(TcpAddress(address.host, port))

    def _bind(self, family: int, address: tuple[Any, ...]) -> socket.socket:
        bound = socket.socket(family, socket.SOCK_STREAM)
        self._bound.append(bound)
        # The first for connections of an earlier process that linger, the second for the worker processes.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        return bound
