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
from getopt import GetoptError, getopt

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


class _NoAnswer(Exception):
    """Nothing answers, or not as a gRPC health service; the message says which."""


class _WrongUsage(Exception):
    """A flag or a variable is wrong; the message says what was found and what is expected."""


def main(argv: Sequence[str]) -> int:
    """Ask once, print the answer and return the exit code: 0 SERVING, 1 NOT_SERVING, 2 wrong usage, 6 no answer."""
    try:
        options = _options(argv, os.environ)
        timeout = _seconds(options.get("timeout", "2s"))
        status = check(
            options["sidecar"],
            service=LIVE if "live" in options else "",
            timeout=timeout,
            tls={name: options[name] for name in ("ca", "cert", "key", "server-name") if name in options}
            if options.keys() & {"tls", "ca", "cert", "key"}
            else None,
        )
    except _WrongUsage as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except _NoAnswer as error:
        sys.stderr.write(f"Error: {error}\n")
        return 6
    sys.stdout.write(status + "\n")
    return 0 if status == "SERVING" else 1


def check(address: str, *, service: str, timeout: float, tls: Mapping[str, str] | None = None) -> str:
    """Return SERVING or NOT_SERVING, as the sidecar at `host:port` or `unix:/path` answers within `timeout` seconds.

    `tls` is None for plaintext, or else has any of `ca`, `cert` and `key` (PEM files) and `server-name`. Raises
    _NoAnswer, and _WrongUsage for an address or files that cannot be used.
    """
    deadline = time.monotonic() + timeout
    try:
        with _connect(address, deadline, tls) as connection:
            connection.sendall(_question(service, address, secure=tls is not None))
            answer = _answer(connection, deadline)
    except TimeoutError:
        raise _NoAnswer(f"{address}: no answer within {timeout:g} s") from None
    except OSError as error:
        raise _NoAnswer(f"{address}: {error.strerror or error}") from None
    except _NoAnswer as error:
        raise _NoAnswer(f"{address}: {error}") from None
    # One byte, four of length, then field 1 (a varint) of HealthCheckResponse.
    status = _STATUSES.get(answer[6], "") if len(answer) == 7 and answer[5] == 0x08 else ""
    if not status:
        what = f"a dc-sidecar with the service {service}" if service else "a dc-sidecar"
        raise _NoAnswer(f"{address}: the health check was refused: is this {what}?")
    return status


def _connect(address: str, deadline: float, tls: Mapping[str, str] | None) -> socket.socket:
    if address.startswith("unix:"):
        if tls is not None:
            raise _WrongUsage(f"{address}: there is no TLS on Unix sockets: leave out the TLS flags")
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_left(deadline))
        connection.connect(address.removeprefix("unix:"))
        return connection
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 2**16):
        raise _WrongUsage(f"the sidecar's address: found {address!r}, expected host:port or unix:/path")
    host = host.strip("[]")
    connection = socket.create_connection((host, int(port)), timeout=_left(deadline))
    if tls is None:
        return connection
    import ssl  # noqa: PLC0415 - 5 MiB that only TLS needs

    try:
        context = ssl.create_default_context(cafile=tls.get("ca"))
        if "cert" in tls:
            context.load_cert_chain(tls["cert"], tls.get("key"))
    except OSError as error:
        connection.close()
        raise _WrongUsage(f"--ca, --cert and --key: expected readable PEM files: {error}") from None
    context.set_alpn_protocols(["h2"])
    connection.settimeout(_left(deadline))
    return context.wrap_socket(connection, server_hostname=tls.get("server-name", host))


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
            raise _NoAnswer("the server is going down")
        elif stream == 1:
            if kind == _RST_STREAM:
                raise _NoAnswer("the server reset the call")
            if kind == _DATA:
                data += payload
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                return data
    raise _NoAnswer("the server closed the connection without an answer")


def _frames(connection: socket.socket, deadline: float) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield type, flags, stream and payload of each frame, until the connection ends."""
    for _ in range(_MAX_FRAMES):
        head = _read(connection, 9, deadline)
        length = int.from_bytes(head[:3], "big")
        if len(head) < 9:
            return
        if length > _MAX_FRAME:
            raise _NoAnswer("the answer is not gRPC")
        payload = _read(connection, length, deadline)
        yield head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload


def _read(connection: socket.socket, count: int, deadline: float) -> bytes:
    """Return `count` bytes, or fewer where the connection ends before."""
    data = b""
    while len(data) < count:
        connection.settimeout(_left(deadline))
        more = connection.recv(count - len(data))
        if not more:
            break
        data += more
    return data


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


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _options(argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the options by flag, else by variable; the address defaults to the first that `serve` listens on."""
    names = [f"{name}=" for name in _VALUES] + list(_SWITCHES)
    try:
        flags, rest = getopt(list(argv), "", names)
    except GetoptError as error:
        raise _WrongUsage(
            f"{error.msg}; expected {', '.join('--' + name for name in (*_VALUES, *_SWITCHES))}"
        ) from None
    if rest:
        raise _WrongUsage(f"found {rest[0]!r}, expected only flags: name the address with --sidecar")
    variables = {name: environ.get(f"DC_SIDECAR_{variable}", "") for name, variable in _VALUES.items() if variable}
    options = {name: value for name, value in variables.items() if value}
    options.update((flag.removeprefix("--"), value) for flag, value in flags)
    listen = environ.get("DC_SIDECAR_LISTEN", "").partition(",")[0].strip()
    options.setdefault("sidecar", listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:") or _DEFAULT)
    return options


def _seconds(text: str) -> float:
    number = text.removesuffix("s")
    scale = 0.001 if number.endswith("m") and number != text else 1
    try:
        seconds = float(number.removesuffix("m")) * scale
    except ValueError:
        seconds = 0
    if number == text or not 0 < seconds < 3600:
        raise _WrongUsage(f"--timeout: found {text!r}, expected a duration such as 2s or 500ms")
    return seconds
