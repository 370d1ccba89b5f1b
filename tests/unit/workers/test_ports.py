"""Ports that worker processes share are kept from the start to the end, and refused for what cannot be shared."""

from __future__ import annotations

import socket

import pytest

from sidecar.errors import ConfigError
from sidecar.workers.ports import SharedPorts


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_the_kernels_choice_is_kept() -> None:
    """Port 0 becomes a port that others cannot have meanwhile, and can afterwards."""
    ports = SharedPorts(["127.0.0.1:0", "localhost:0"], plaintext=True)
    assert [address.rpartition(":")[0] for address in ports.addresses] == ["127.0.0.1", "localhost"]
    taken = _port(ports.addresses[0])
    with socket.socket() as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", taken))
        ports.close()
        other.bind(("127.0.0.1", taken))


def test_a_port_that_is_taken_is_refused() -> None:
    """A port that another process listens on is refused."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"--listen {address}: the port is in use"):
            SharedPorts([address], plaintext=True)


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("unix:/run/dc-sidecar.sock", "--workers: processes cannot share unix:/run/dc-sidecar.sock"),
        ("0.0.0.0:0", "is not loopback"),
    ],
)
def test_what_cannot_be_shared_is_refused(listen: str, words: str) -> None:
    """A Unix socket is one process's, and plain text for a network must be meant."""
    with pytest.raises(ConfigError, match=words):
        SharedPorts([listen], plaintext=True)
