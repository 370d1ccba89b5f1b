"""`dc-sidecar health`, asked of real sidecars, silent servers and strangers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import trustme

from sidecar import healthcheck
from sidecar.cli.commands.health import command
from sidecar.healthcheck import check
from sidecar.probe import NoAnswer
from tests.harness import SidecarProcess
from tests.servers.process import free_port
from tests.waiting import eventually

# The most memory that it had, and what of the heavy it imported.
MEASURED = """
import sys
from sidecar.__main__ import main
code = main()
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(code, peak, sorted({"grpc", "google.protobuf", "click", "yaml", "ssl"} & sys.modules.keys()))
"""


def health(*flags: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it as an orchestrator does: a process with nothing but its own environment."""
    words = [sys.executable, "-m", "sidecar", "health", *flags]
    return subprocess.run(words, env=env or {}, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    """Listen, and leave what is to be said to the test."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_it_tells_ready_from_alive(tmp_path: Path) -> None:
    """Without a document: NOT_SERVING and 1, and alive all the same; with one: SERVING and 0; ended: 6."""
    document = tmp_path / "routing.yaml"
    with SidecarProcess(f"file:{document}", folder=tmp_path, wait_for_document=False) as sidecar:
        asked = health("--sidecar", sidecar.address)
        assert (asked.returncode, asked.stdout) == (1, "NOT_SERVING\n")
        asked = health("--sidecar", sidecar.address, "--live")
        assert (asked.returncode, asked.stdout) == (0, "SERVING\n")
        document.write_text("dc1")
        eventually(lambda: health("--sidecar", sidecar.address).returncode == 0, "SERVING with a document")
    asked = health("--sidecar", sidecar.address)
    assert asked.returncode == 6
    assert asked.stderr.startswith(f"Error: {sidecar.address}: ")


def test_it_asks_where_serve_was_told_to_listen(tmp_path: Path) -> None:
    """Without --sidecar it takes DC_SIDECAR_ADDRESS, else the first of DC_SIDECAR_LISTEN; a wildcard is loopback."""
    (tmp_path / "routing.yaml").write_text("dc1")
    port = free_port()
    listen = ("--listen", f"0.0.0.0:{port}", "--allow-plaintext")
    with SidecarProcess(f"file:{tmp_path}/routing.yaml", *listen, folder=tmp_path) as sidecar:
        assert health(env={"DC_SIDECAR_ADDRESS": sidecar.address}).returncode == 0
        assert health(env={"DC_SIDECAR_LISTEN": f"0.0.0.0:{port}, unix:/nowhere"}).returncode == 0
        # The flag wins over both.
        assert health("--sidecar", "unix:/nowhere", env={"DC_SIDECAR_ADDRESS": sidecar.address}).returncode == 6


def test_it_speaks_tls_in_both_directions(tmp_path: Path) -> None:
    """With the right certificates it is answered; without ours, or of a stranger's authority, it is not."""
    ca = trustme.CA()
    ours = ca.issue_cert("localhost")
    (tmp_path / "key.pem").write_bytes(ours.private_key_pem.bytes())
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in ours.cert_chain_pems))
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    (tmp_path / "routing.yaml").write_text("dc1")
    address = f"localhost:{free_port()}"
    flags = ("--listen", address, "--tls-cert", f"{tmp_path}/cert.pem", "--tls-key", f"{tmp_path}/key.pem")
    pair = ("--cert", f"{tmp_path}/cert.pem", "--key", f"{tmp_path}/key.pem")
    mutual = ("--tls-client-ca", f"{tmp_path}/ca.pem")
    with SidecarProcess(f"file:{tmp_path}/routing.yaml", *flags, *mutual, folder=tmp_path):
        ca_flag = ("--ca", f"{tmp_path}/ca.pem")
        assert health("--sidecar", address, *ca_flag, *pair).returncode == 0
        by_number = address.replace("localhost", "127.0.0.1")
        assert health("--sidecar", by_number, *ca_flag, *pair, "--server-name", "localhost").returncode == 0
        assert health("--sidecar", by_number, *ca_flag, *pair).returncode == 6
        assert health("--sidecar", address, *ca_flag).returncode == 6
        assert health("--sidecar", address, *pair, "--ca", f"{tmp_path}/other.pem").returncode == 6
        assert health("--sidecar", address, *pair, "--ca", f"{tmp_path}/missing.pem").returncode == 2


def test_it_fits_beside_the_sidecar(tmp_path: Path) -> None:
    """It takes less than 20 MiB: a container of 64 MiB holds the sidecar and its probe."""
    (tmp_path / "routing.yaml").write_text("dc1")
    with SidecarProcess(f"file:{tmp_path}/routing.yaml", folder=tmp_path) as sidecar:
        asking = [sys.executable, "-c", MEASURED, "health", "--sidecar", sidecar.address]
        asked = subprocess.run(asking, capture_output=True, text=True, timeout=30, check=True)
    code, kib, heavy = asked.stdout.splitlines()[1].split(maxsplit=2)
    assert (code, heavy) == ("0", "[]")
    assert int(kib) < 20 * 1024


def test_a_silent_server_is_given_up_in_time(stranger: socket.socket) -> None:
    """A server that takes the connection and says nothing costs the timeout, no more."""
    port = stranger.getsockname()[1]
    with pytest.raises(NoAnswer, match=r"no answer within 0\.2 s"):
        check(f"127.0.0.1:{port}", service="", timeout=0.2)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 40, "not gRPC"),
        (b"", "without an answer"),
        (b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8, "going down"),
        (b"\0\0\x04\x03\0\0\0\0\x01" + b"\0" * 4, "reset the call"),
        (b"\0\0\x00\x01\x05\0\0\0\x01", "the health check was refused"),
        (b"\0\0\x07\x00\x01\0\0\0\x01" + b"\0\0\0\0\x02\x08\x09", "the health check was refused"),
        (b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01" * 200, "without an answer"),
    ],
)
def test_strangers_are_not_taken_for_a_sidecar(stranger: socket.socket, said: bytes, complaint: str) -> None:
    """HTTP/1, silence, a farewell, a reset, a refusal, an unknown status, endless chatter: each is distinguished."""

    def answer() -> None:
        connection, _ = stranger.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(said)

    threading.Thread(target=answer).start()
    with pytest.raises(NoAnswer, match=complaint):
        check(f"127.0.0.1:{stranger.getsockname()[1]}", service="", timeout=5)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--sidecar", "nohost"], "expected host:port or unix:/path"),
        (["--sidecar", "h:99999"], "expected host:port or unix:/path"),
        (["--sidecar", "unix:/s", "--tls"], "no TLS on Unix sockets"),
        (["--timeout", "fast"], "expected a duration"),
        (["--timeout", "0s"], "expected a duration"),
        (["--frobnicate"], "expected --sidecar"),
        (["unix:/s"], "name the address with --sidecar"),
    ],
)
def test_wrong_usage_says_what_is_expected(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and one line with what was found and what is expected."""
    assert healthcheck.main(flags) == 2
    assert complaint in capsys.readouterr().err


def test_help_and_probe_know_the_same_flags() -> None:
    """What `--help` lists is what the probe reads."""
    shown = {option.lstrip("-") for parameter in command.params for option in parameter.opts}
    assert isinstance(command, click.Command)
    assert shown == {*healthcheck._VALUES, *healthcheck._SWITCHES}
