"""`dc-sidecar health`: one gRPC health check over a plain socket.

An orchestrator runs it every few seconds within the sidecar's memory limit. With gRPC, protobuf and click it would take
35 MiB and half a second; this is the little of HTTP/2 (RFC 9113) that one call needs.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from sidecar import probe
from sidecar.probe import NoAnswer, WrongUsage
from sidecar.unanswered import GRPC, SLOW

LIVE = "live"

_DEFAULT = "127.0.0.1:50051"
_VALUES = {"sidecar": "ADDRESS", "ca": "CA", "cert": "CERT", "key": "KEY", "server-name": "", "timeout": ""}
_SWITCHES = ("live", "tls")
_STATUSES = {1: "SERVING", 2: "NOT_SERVING"}

# Frame types and flags (RFC 9113, section 6).
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# The largest frame by default; an answer to a health check is far smaller.
_MAX_FRAME = 16_384
_MAX_FRAMES = 100


def main(argv: Sequence[str]) -> int:
    """Ask once, print the answer and return the exit code: 0 SERVING, 1 NOT_SERVING, 2 wrong usage, 6 no answer."""
    try:
        options = _options(argv, os.environ)
        timeout = probe.seconds(options.get("timeout", "2s"))
        status = check(
            options["sidecar"],
            service=LIVE if "live" in options else "",
            timeout=timeout,
            tls={name: options[name] for name in ("ca", "cert", "key", "server-name") if name in options}
            if options.keys() & {"tls", "ca", "cert", "key"}
            else None,
        )
    except WrongUsage as error:
        sys.stderr.write(f"Error: {error}\n")
        return probe.USAGE
    except NoAnswer as error:
        sys.stderr.write(f"Error: {error}\n")
        return probe.NO_ANSWER
    sys.stdout.write(status + "\n")
    return 0 if status == "SERVING" else 1


def check(address: str, *, service: str, timeout: float, tls: Mapping[str, str] | None = None) -> str:
    """Return SERVING or NOT_SERVING, as the sidecar at `host:port` or `unix:/path` answers within `timeout` seconds.

    `tls` is None for plaintext, or else has any of `ca`, `cert` and `key` (PEM files) and `server-name`. Raises
    NoAnswer, and WrongUsage for an address or files that cannot be used.
    """
    deadline = time.monotonic() + timeout
    try:
        with _connect(address, deadline, tls) as connection:
            connection.sendall(_question(service, address, secure=tls is not None))
            answer = _answer(connection, deadline)
    except TimeoutError:
        raise NoAnswer(f"{address}: no answer within {timeout:g} s: {SLOW}") from None
    except OSError as error:
        raise NoAnswer(f"{address}: no sidecar answers there ({error.strerror or error}): {GRPC}") from None
    except NoAnswer as error:
        raise NoAnswer(f"{address}: {error}") from None
    # One byte, four of length, then field 1 (a varint) of HealthCheckResponse.
    status = _STATUSES.get(answer[6], "") if len(answer) == 7 and answer[5] == 0x08 else ""
    if not status:
        what = f"a dc-sidecar with the service {service}" if service else "a dc-sidecar"
        raise NoAnswer(f"{address}: the health check was refused: is this {what}?")
    return status


def _connect(address: str, deadline: float, tls: Mapping[str, str] | None) -> socket.socket:
    if address.startswith("unix:"):
        if tls is not None:
            raise WrongUsage(f"{address}: there is no TLS on Unix sockets: leave out the TLS flags")
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(probe.left(deadline))
        connection.connect(address.removeprefix("unix:"))
        return connection
    found = probe.host_and_port(address)
    if found is None:
        raise WrongUsage(f"the sidecar's address: found {address!r}, expected host:port or unix:/path")
    return probe.connect(*found, deadline, tls, protocols=["h2"])


def _question(service: str, address: str, *, secure: bool) -> bytes:
    """Return the client's bytes: preface, settings, headers (without HPACK's dynamic table), and the request."""
    authority = "localhost" if address.startswith("unix:") else address
    headers = (
        # :method POST, :scheme and the names of :path, :authority and content-type are in HPACK's static table.
        bytes([0x83, 0x87 if secure else 0x86])
        + b"\x04"
        + _text(b"/grpc.health.v1.Health/Check")
        + b"\x01"
        + _text(authority.encode())
        + b"\x0f\x10"
        + _text(b"application/grpc")
        + b"\x00"
        + _text(b"te")
        + _text(b"trailers")
    )
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    request = b"\x00" + len(message).to_bytes(4, "big") + message
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, request)
    )


def _answer(connection: socket.socket, deadline: float) -> bytes:
    """Return the data of the answer, empty where the server refused the call."""
    data = b""
    for kind, flags, stream, payload in _frames(connection, deadline):
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            connection.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _GOAWAY:
            raise NoAnswer("the server is going down")
        elif stream == 1:
            if kind == _RST_STREAM:
                raise NoAnswer("the server reset the call")
            if kind == _DATA:
                data += payload
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                return data
    raise NoAnswer("the server closed the connection without an answer")


def _frames(connection: socket.socket, deadline: float) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield type, flags, stream and payload of each frame, until the connection ends."""
    for _ in range(_MAX_FRAMES):
        head = probe.read(connection, 9, deadline)
        length = int.from_bytes(head[:3], "big")
        if len(head) < 9:
            return
        if length > _MAX_FRAME:
            raise NoAnswer("the answer is not gRPC")
        payload = probe.read(connection, length, deadline)
        yield head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _text(value: bytes) -> bytes:
    """Return an HPACK string literal; lengths of 127 and more take several bytes (RFC 7541, section 5.1)."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, more = len(value) - 127, b"\x7f"
    while rest >= 128:
        more += bytes([rest % 128 + 128])
        rest //= 128
    return more + bytes([rest]) + value


def _options(argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the options by flag, else by variable; the address defaults to the first that `serve` listens on."""
    rest, options = probe.options(argv, environ, values=_VALUES, switches=_SWITCHES)
    if rest:
        raise WrongUsage(f"found {rest[0]!r}, expected only flags: name the address with --sidecar")
    listen = environ.get("DC_SIDECAR_LISTEN", "").partition(",")[0].strip()
    options.setdefault("sidecar", probe.on_this_machine(listen) or _DEFAULT)
    return options
