"""Hostile HTTP clients: incomplete requests, slow readers, floods, foreign Host headers."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Callable
from http.client import HTTPException

from tests.attack.attack import Attack, Stage
from tests.attack.sidecar import AttackedSidecar
from tests.attack.texts import document, many_apps

_MIB = 1024**2


def _ask(sidecar: AttackedSidecar, path: str, *, buffer: int = 0) -> socket.socket:
    """Return a connection on which a path was requested; `buffer` sets the size of its receive buffer."""
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", sidecar.http))
    token = f"Authorization: Bearer {sidecar.token}\r\n" if sidecar.token else ""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}\r\n".encode())
    return connection


def _half_requests(stage: Stage) -> None:
    """Send 1,100 incomplete requests and another header line of each now and then."""
    held: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for number in range(1100):
            try:
                connection = stack.enter_context(contextlib.closing(stage.sidecar.connect(stage.sidecar.http)))
                connection.sendall(b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n" if number % 4 else b"")
                held.append(connection)
            except OSError:
                time.sleep(0.005)
        stage.note(f"{len(held)} requests were begun")
        done = stage.sidecar.run("status", within=10)
        stage.expect(done.returncode == 0, f"meanwhile `dc-sidecar status` says {done.stderr[-120:]!r}")
        stage.change_in_time(document(rest="meta: {during: attack}\n"))
        for _ in stage.rounds(every=0.25):
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.sendall(b"X-More: 1\r\n")
        for line in stage.sidecar.log_text().splitlines():
            if "Too many open files" in line:
                stage.find("it ran out of descriptors: " + line[:200])
                break


def _watchers(stage: Stage) -> None:
    """Follow events on 200 connections, then use other paths and try 30 more."""
    sidecar = stage.sidecar
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(contextlib.closing(_ask(sidecar, "/v1/events")))
        time.sleep(0.3)
        for _ in stage.rounds(every=0.1):
            for path in ("/v1/routes", "/v1/status", "/v1/routes/caller-active", "/readyz"):
                try:
                    status, body = sidecar.get(path, within=5)
                    said = f"{status} {body[:120]!r}"
                except (OSError, HTTPException) as error:
                    status, said = 0, str(error)
                if status != 200:
                    stage.find(f"with 200 followers of events {path} answers {said}")
                    break
            if stage.findings:
                break
        answers = []
        for _ in range(30):
            connection = stack.enter_context(contextlib.closing(_ask(sidecar, "/v1/events")))
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                answers.append(connection.recv(300))
        refused = [answer for answer in answers if b" 200 " not in answer[:20]]
        unclean = [answer for answer in refused if b" 503 " not in answer[:20] or b"Retry-After" not in answer.title()]
        stage.note(f"of 230 followers {len(refused)} were refused")
        stage.expect(not unclean, f"a refusal is no clean 503: {unclean[:1]}")
        stage.wait()
    time.sleep(0.3)
    stage.expect("Traceback" not in sidecar.log_text(), "a refusal leaves a traceback in the log")


def _slow_readers(stage: Stage) -> None:
    """Request all routes on 300 connections without reading."""
    asked = 0
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            if stage.left <= 0 or not stage.sidecar.lived:
                break
            with contextlib.suppress(OSError):
                stack.enter_context(contextlib.closing(_ask(stage.sidecar, "/v1/routes", buffer=2048)))
                asked += 1
        stage.note(f"{asked} answers were asked for and not read")
        stage.wait()


def _long_polls(stage: Stage) -> None:
    """Hold 300 long polls while documents change."""
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            with contextlib.suppress(OSError):
                stack.enter_context(contextlib.closing(_ask(stage.sidecar, "/v1/routes?wait=60s")))
        for number in stage.rounds(every=0.2):
            stage.put(document(rest=f"meta: {{number: {number}}}\n"))


def _large(stage: Stage) -> None:
    """Send endless request lines, headers and bodies, and pipelined requests."""
    line, many = b"x" * 65_536, b"".join(b"X-%d: y\r\n" % number for number in range(4000))
    kinds = (
        itertools.chain([b"GET /"], itertools.repeat(line)),
        itertools.chain([b"GET / HTTP/1.1\r\nHost: a\r\nX: "], itertools.repeat(line)),
        itertools.chain([b"GET / HTTP/1.1\r\nHost: a\r\n"], itertools.repeat(many)),
        itertools.chain(
            [b"POST /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999999\r\n\r\n"],
            itertools.repeat(line),
        ),
        itertools.chain(
            [b"POST /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"],
            itertools.repeat(b"10000\r\n" + line + b"\r\n"),
        ),
        itertools.repeat(b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000),
    )
    share = stage.seconds / len(kinds)
    for number, kind in enumerate(kinds):
        until, sent = time.monotonic() + share, 0
        with contextlib.suppress(OSError), contextlib.closing(stage.sidecar.connect(stage.sidecar.http)) as connection:
            connection.settimeout(0.2)
            while time.monotonic() < until and stage.sidecar.lived:
                try:
                    sent += connection.send(next(kind))
                except TimeoutError:
                    continue
        stage.note(f"kind {number}: {sent / _MIB:.1f} MiB were taken")
    stage.expect("Traceback" not in stage.sidecar.log_text(), "a request leaves a traceback in the log")


def _what_ifs(stage: Stage) -> None:
    """Request the most expensive what-if on 40 connections at a time."""
    path = "/v1/explain?app=app-00001&job=1&candidates=" + ",".join(f"dc{n}=500" for n in range(20))
    for _ in stage.rounds(every=0.2):
        with contextlib.ExitStack() as stack:
            for _ in range(40):
                with contextlib.suppress(OSError):
                    stack.enter_context(contextlib.closing(_ask(stage.sidecar, path)))
            time.sleep(0.2)


def _strange_host(stage: Stage) -> None:
    """Serve HTTP off loopback without a token, where that is allowed, and use a foreign Host header (DNS rebinding)."""
    stage.sidecar.start()
    try:
        status, body = stage.sidecar.get("/v1/status", headers={"Host": "evil.example"})
    except (OSError, HTTPException) as error:
        stage.note(f"a strange host: {error}")
        return
    stage.expect(
        status in (400, 401, 403, 421), f"a request for the host evil.example is answered: {status} {body[:80]!r}"
    )


def _open(stage: Stage) -> None:
    """Serve HTTP off loopback without a token."""
    stage.sidecar.start(ready=False)
    if stage.sidecar.refuses_to_start():
        stage.note("it refuses to start with HTTP open off loopback without a token")
        return
    log = stage.sidecar.log_text().lower()
    stage.expect(
        '"warning"' in log and "token" in log, "HTTP is open off loopback without a token, and no warning says so"
    )


def _never_traceback(run: Callable[[Stage], None]) -> Callable[[Stage], None]:
    def both(stage: Stage) -> None:
        run(stage)
        stage.expect("Traceback" not in stage.sidecar.log_text(), "there is a traceback in the log")

    return both


ATTACKS = [
    Attack(
        name="http-half-requests",
        run=_half_requests,
        item="9",
        product="HTTP limits the time of headers and the number of connections; gRPC and source keep descriptors.",
        short=True,
    ),
    Attack(
        name="http-event-watchers",
        run=_watchers,
        item="9",
        product="Followers of events do not block other paths; excess ones get 503 without a traceback.",
        short=True,
    ),
    Attack(
        name="http-slow-readers",
        run=_never_traceback(_slow_readers),
        item="9",
        product="Responses that clients do not read are bounded in memory.",
        document=lambda: document(many_apps(3000)),
    ),
    Attack(
        name="http-long-polls",
        run=_never_traceback(_long_polls),
        item="9",
        product="Waking long polls at a change delays nobody.",
    ),
    Attack(
        name="http-large-requests",
        run=_large,
        item="9",
        product="Request lines, headers, bodies and pipelines are bounded.",
    ),
    Attack(
        name="http-what-ifs",
        run=_never_traceback(_what_ifs),
        item="5",
        product="What-ifs delay nobody and are bounded in memory.",
        document=lambda: document(many_apps(3000)),
    ),
    Attack(
        name="http-strange-host",
        run=_strange_host,
        item="14",
        product="Off loopback without a token a foreign `Host` is refused.",
        calls=False,
        starts=False,
        flags=("--http=0.0.0.0:%PORT%", "--allow-anonymous-http"),
    ),
    Attack(
        name="http-open",
        run=_open,
        item="14",
        product="HTTP off loopback without a token is refused or warned about.",
        calls=False,
        starts=False,
        flags=("--http=0.0.0.0:%PORT%",),
        short=True,
    ),
]
