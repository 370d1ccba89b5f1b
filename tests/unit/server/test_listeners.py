"""Addresses to listen on: which are understood, which are refused and with what advice."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sidecar.errors import ConfigError
from sidecar.server.listeners import TcpAddress, UnixAddress, parse_address, parse_addresses


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path, as sockets need it."""
    with TemporaryDirectory(prefix="sidecar-") as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", TcpAddress("127.0.0.1", 50051)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:50051", TcpAddress("::1", 50051)),
        ("unix:/run/s.sock", UnixAddress(Path("/run/s.sock"))),
        ("unix:///run/s.sock", UnixAddress(Path("/run/s.sock"))),
    ],
)
def test_addresses_that_are_understood(text: str, address: TcpAddress | UnixAddress) -> None:
    """Each form that the documentation names is read, and written in the form that is read again."""
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "50051", ":50051", "localhost", "::1:50051", "host:65536", "host:-1", "unix:", "unix://host/s", "a b:1"],
)
def test_addresses_that_are_not_understood(text: str) -> None:
    """Anything else is refused with what was found and what is expected."""
    with pytest.raises(ConfigError, match=r"expected host:port, \[ipv6\]:port or unix:/path"):
        parse_address(text)


def test_at_least_one_and_each_once() -> None:
    """No address is an error; one that is named twice is listened on once."""
    with pytest.raises(ConfigError, match="no address"):
        parse_addresses(())
    assert len(parse_addresses(("unix:/a", "unix:///a", "localhost:1"))) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "::1"])
def test_loopback_needs_no_tls(host: str) -> None:
    """Plaintext is fine on what only this machine reaches."""
    TcpAddress(host, 0).check(plaintext=True, reuse_port=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "10.1.2.3"])
def test_others_do(host: str) -> None:
    """Plaintext is refused on any other address, before anything is bound, and what to do is said."""
    with pytest.raises(ConfigError, match=r"is not loopback.*--tls-cert and --tls-key, or --allow-plaintext"):
        TcpAddress(host, 0).check(plaintext=True, reuse_port=False)


def test_a_port_in_use_is_an_error() -> None:
    """Two sidecars do not share a port by accident."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = TcpAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigError, match="the port is in use"):
            address.check(plaintext=True, reuse_port=False)


def test_an_unknown_host_is_an_error() -> None:
    """A name that does not resolve is reported as such."""
    with pytest.raises(ConfigError, match="the host cannot be resolved"):
        TcpAddress("no-such-host.invalid", 1).check(plaintext=True, reuse_port=False)


def test_a_stale_socket_is_removed(folder: Path) -> None:
    """What a crashed sidecar left behind does not keep the next one from starting."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(os.fspath(path))
    UnixAddress(path).check()
    assert not path.exists()


def test_a_socket_in_use_is_left_alone(folder: Path) -> None:
    """A path in use is an error, and stays."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(os.fspath(path))
        other.listen()
        with pytest.raises(ConfigError, match="a process listens there"):
            UnixAddress(path).check()
        assert path.is_socket()


def test_a_file_is_left_alone(folder: Path) -> None:
    """A path that is no socket is an error, and what is there stays."""
    path = folder / "precious"
    path.write_text("data")
    with pytest.raises(ConfigError, match="not a socket"):
        UnixAddress(path).check()
    assert path.read_text() == "data"


def test_paths_that_cannot_be_sockets(folder: Path) -> None:
    """A path too long for a socket and one in no directory are reported as such."""
    with pytest.raises(ConfigError, match="more than 107 bytes"):
        UnixAddress(folder / ("x" * 107)).check()
    with pytest.raises(ConfigError, match="no directory that this user can write to"):
        UnixAddress(folder / "missing" / "s").check()


def test_another_ones_socket_is_not_removed(folder: Path) -> None:
    """At the end only the socket that was claimed goes, not one that somebody has put in its place."""
    path = folder / "s"
    address = UnixAddress(path)
    with socket.socket(socket.AF_UNIX) as ours, socket.socket(socket.AF_UNIX) as theirs:
        ours.bind(os.fspath(path))
        claimed = address.claim()
        assert path.stat().st_mode & 0o777 == 0o660
        path.rename(folder / "moved")
        theirs.bind(os.fspath(path))
        address.release(claimed)
        assert path.is_socket()
        address.release(path.lstat())
        assert not path.exists()
