"""`dc-sidecar active` without a sidecar: what it asks, what it makes of answers, what it takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from sidecar import gate
from sidecar.cli.commands.active import command

HERE = b'HTTP/1.1 200 OK\r\nX-Active: true\r\nETag: "e"\r\n\r\nreports is active in dc2\n'
UNCHANGED = b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n'
AWAY = b'HTTP/1.1 503 Service Unavailable\r\nX-Active: false\r\nETag: "e"\r\n\r\nreports is not active in dc2\n'
NO_DOCUMENT = b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"error": "no routing document yet"}'


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection after another; yield the address, and the requests that came."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    requests.append(connection.recv(4096))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", requests
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (HERE, 0, "reports is active in dc2"),
        (AWAY, 75, "reports is not active in dc2"),
        (NO_DOCUMENT, 6, "no routing document yet"),
        (b"HTTP/1.1 421 Misdirected Request\r\n\r\nHost", 2, "421 Misdirected Request"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 6, "is this a sidecar's --http?"),
        (b"", 6, "is this a sidecar's --http?"),
    ],
)
def test_an_answer_is_one_only_with_its_header(
    answer: bytes, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a sidecar without a document nor what is no sidecar answers; a refused request is wrong usage."""
    with answering(answer) as (address, _):
        assert gate.main(["reports", "--datacenter", "dc2", "--http", address]) == code
    assert said in "".join(capsys.readouterr())


def test_names_and_token_are_sent_as_http_has_them(tmp_path: Path) -> None:
    """Slashes, blanks and letters beyond ASCII are encoded; the address in DC_SIDECAR_HTTP is that of `serve`."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    with answering(HERE) as (address, requests):
        words = ["a/b é", "--datacenter", "dc2", "--key", "k&x", "--http", address, "--http-token-file", str(token)]
        assert gate.main(words) == 0
    head = requests[0].split(b"\r\n")
    assert head[0] == b"GET /v1/active/a%2Fb%20%C3%A9/dc2?key=k%26x HTTP/1.1"
    assert {b"Authorization: Bearer secret", f"Host: {address}".encode()} <= set(head)


def test_waiting_asks_with_the_etag_that_it_has() -> None:
    """A 304 and an answer that is not active are waited through."""
    with answering(AWAY, UNCHANGED, HERE) as (address, requests):
        assert gate.main(["reports", "--datacenter", "dc2", "--wait", "--http", address]) == 0
    assert [b"If-None-Match" in request for request in requests] == [False, True, True]
    assert [b"wait=30s" in request for request in requests] == [False, True, True]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "expected one application"),
        (["a", "b", "--datacenter", "dc1"], "expected one application"),
        (["a"], "DC_SIDECAR_DATACENTER"),
        (["a", "--datacenter", "dc1", "--else", "256"], "expected an exit code"),
        (["a", "--datacenter", "dc1", "--when-away", "stop"], "expected run or skip"),
        (["a", "--datacenter", "dc1", "--http", "nohost"], "expected host:port"),
        (["a", "--datacenter", "dc1", "--http", "ftp://h:1"], "expected host:port"),
        (["a", "--datacenter", "dc1", "--timeout", "fast"], "expected a duration"),
        (["a", "--datacenter", "dc1", "--http-token-file", "/none"], "cannot be read"),
        (["a", "--frobnicate"], "expected --datacenter"),
    ],
)
def test_wrong_usage_says_what_is_expected(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and one line with what was found and what is expected."""
    assert gate.main(words) == 2
    assert complaint in capsys.readouterr().err


def test_help_and_command_know_the_same_flags() -> None:
    """What `--help` lists is what the command reads."""
    assert isinstance(command, click.Command)
    shown = {option.lstrip("-") for each in command.params if isinstance(each, click.Option) for option in each.opts}
    assert shown == {*gate._VALUES, "wait"}


def test_it_is_light() -> None:
    """Under 150 ms of CPU with Python's start, and without gRPC, click and HTTP libraries."""
    with answering(HERE) as (address, _):
        words = ["active", "reports", "--datacenter", "dc2", "--http", address]
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "sidecar", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        with process.stderr:
            imports = {line.rpartition("|")[2].strip() for line in process.stderr}
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_utime + usage.ru_stime < 0.15
    assert {"socket", "getopt"} <= imports
    assert imports.isdisjoint(
        {"grpc", "click", "google", "yaml", "msgspec", "asyncio", "http", "urllib", "ssl", "typing"}
    )
