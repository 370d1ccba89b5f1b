"""Listen addresses: parsing, checks before binding, and removal of a stale Unix socket."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

from sidecar.errors import ConfigError

_TCP = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^\[\]:/\s]+)):(?P<port>[0-9]{1,5})")
_EXPECTED = "expected host:port, [ipv6]:port or unix:/path"
_Resolved: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
# What sockaddr_un has room for, less the closing zero.
_MAX_PATH = 107


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port to listen on; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def check(self, *, plaintext: bool, reuse_port: bool) -> None:
        """Raise ConfigError if the address cannot be bound, or (with `plaintext`) is reachable from other machines."""
        found = self._resolved()
        open_to = _not_loopback(found)
        if plaintext and open_to:
            raise ConfigError(
                f"--listen {self}: {open_to[0]} is not loopback, and without TLS everybody who reaches it is served: "
                "set --tls-cert and --tls-key, or --allow-plaintext to allow it"
            )
        if self.port != 0 and not reuse_port:
            for family, sockaddr in found:
                self._try(family, sockaddr)

    def reachable(self) -> Sequence[str]:
        """Return those of its IP addresses that are not loopback. Raises ConfigError if it cannot be resolved."""
        return _not_loopback(self._resolved())

    def _resolved(self) -> Sequence[_Resolved]:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise ConfigError(f"--listen {self}: the host cannot be resolved: {error.strerror}") from None
        return [(family, sockaddr) for family, *_, sockaddr in found]

    def _try(self, family: int, sockaddr: tuple[Any, ...]) -> None:
        """Bind as gRPC will: gRPC reports only that it failed, the kernel also why."""
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(sockaddr)
                probe.listen()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise ConfigError(
                        f"--listen {self}: the port is in use, by another sidecar perhaps: stop it, or choose another"
                    ) from None
                if error.errno != errno.EAFNOSUPPORT:
                    raise ConfigError(f"--listen {self}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A path of a Unix socket to listen on."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"

    def check(self) -> None:
        """Remove a stale socket. Raises ConfigError if the path is in use or unusable."""
        if len(os.fsencode(self.path)) > _MAX_PATH:
            raise ConfigError(
                f"--listen {self}: the path has more than {_MAX_PATH} bytes, the limit for a socket: choose a shorter"
            )
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise ConfigError(f"--listen {self}: {self.path.parent} is no directory that this user can write to")
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise ConfigError(f"--listen {self}: the path is a file, not a socket: remove it, or choose another path")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(os.fspath(self.path))
            except ConnectionRefusedError:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise ConfigError(f"--listen {self}: the existing socket cannot be checked: {error.strerror}") from None
            else:
                raise ConfigError(
                    f"--listen {self}: a process listens there already, another sidecar perhaps: stop it, or choose "
                    "another path"
                )

    def claim(self, mode: int = 0o660, owner: str | None = None) -> os.stat_result:
        """Give the bound socket its mode and owner (`USER:GROUP`); return its identity for `release`.

        Raises ConfigError.
        """
        try:
            if owner is not None:
                user, _, group = owner.partition(":")
                os.chown(self.path, _user_id(user), _group_id(group))
            self.path.chmod(mode)
        except (OSError, LookupError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"--socket-owner {owner}: {self.path} cannot be given to it: {why}") from None
        return self.path.lstat()

    def release(self, claimed: os.stat_result) -> None:
        """Remove the socket, unless another one has taken its place."""
        with suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == (claimed.st_dev, claimed.st_ino):
                self.path.unlink()


def _not_loopback(resolved: Sequence[_Resolved]) -> Sequence[str]:
    hosts = [str(sockaddr[0]) for _, sockaddr in resolved]
    return [host for host in hosts if not ip_address(host.partition("%")[0]).is_loopback]


def _user_id(name: str) -> int:
    """Return the number of a user, -1 (as it is) for "". Raises LookupError."""
    if not name:
        return -1
    return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid


def _group_id(name: str) -> int:
    if not name:
        return -1
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Parse an address. Raises ConfigError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        # unix:///path is how gRPC writes it too.
        path = path.removeprefix("//") if path.startswith("///") else path
        if not path or path.startswith("//") or "\0" in path:
            raise ConfigError(f"--listen {text!r}: {_EXPECTED}")
        return UnixAddress(Path(path).absolute())
    match = _TCP.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(f"--listen {text!r}: {_EXPECTED}")
    return TcpAddress(match["six"] or match["host"], int(match["port"]))


def parse_addresses(texts: Sequence[str]) -> tuple[Address, ...]:
    """Return the addresses to listen on, at least one, each once. Raises ConfigError."""
    addresses = tuple(dict.fromkeys(parse_address(text) for text in texts))
    if not addresses:
        raise ConfigError(f"--listen: found no address, {_EXPECTED}")
    return addresses
