"""Every command that asks a sidecar says the same where none answers: what was tried, and the remedy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sidecar.unanswered import GRPC, HTTP, SLOW

CANDIDATES = ("--candidates", "dc1=1")
ASKING = {
    "status": ("status",),
    "filter": ("filter", "billing", *CANDIDATES),
    "watch": ("watch",),
    "health": ("health",),
}
ACTIVE = ("active", "billing", "--datacenter", "dc1")


def ask(*words: str) -> tuple[int, str]:
    """Run a command as a shell does, without variables of ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("DC_SIDECAR_")}
    words = (sys.executable, "-m", "sidecar", *words)
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.fixture
def closed() -> Iterator[str]:
    """Return an address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("words", ASKING.values(), ids=ASKING)
def test_no_sidecar_at_the_address(words: tuple[str, ...], closed: str) -> None:
    """Commands that ask over gRPC name --sidecar and the variable, and exit with 6."""
    code, error = ask(*words, "--sidecar", closed, "--timeout", "20s")
    assert code == 6
    assert error.startswith(f"Error: {closed}: no sidecar answers there (")
    assert error.endswith(f"): {GRPC}\n")


def test_none_of_several(closed: str) -> None:
    """The remedy is named once."""
    code, error = ask("status", "--sidecar", closed, "--sidecar", "127.0.0.1:1", "--timeout", "20s")
    assert code == 6
    assert error.startswith(f"Error: none of 2 sidecars answers; the first: {closed}: no sidecar answers there (")
    assert error.endswith(f"): {GRPC}\n")


def test_no_http_at_the_address(closed: str) -> None:
    """`active`, which asks over HTTP, says that the sidecar needs --http."""
    code, error = ask(*ACTIVE, "--http", closed, "--timeout", "20s")
    assert (code, error) == (6, f"Error: {closed}: no sidecar answers there (Connection refused): {HTTP}\n")


@pytest.mark.parametrize(("flag", "words"), [("--http", ACTIVE), ("--sidecar", ("health",))])
def test_a_silent_server(flag: str, words: tuple[str, ...]) -> None:
    """What takes the connection and says nothing may be slow: the remedy is the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        code, error = ask(*words, flag, address, "--timeout", "200ms")
    assert (code, error) == (6, f"Error: {address}: no answer within 0.2 s: {SLOW}\n")
