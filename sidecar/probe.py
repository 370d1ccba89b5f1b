"""The parts of `dc-sidecar health` and `dc-sidecar active`, which run without click and gRPC: flags, connection.

Orchestrators, cron and systemd start them again and again; click and gRPC would take half a second of CPU each time.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from getopt import GetoptError, gnu_getopt

NO_ANSWER, USAGE = 6, 2
"""Exit codes, the same as of all commands."""


class NoAnswer(Exception):
    """Nothing answers, or nothing of use; the message says which."""


class WrongUsage(Exception):
    """A flag, a variable or a file is wrong; the message names the value found and the expected one."""


def options(
    words: Sequence[str], environ: Mapping[str, str], *, values: Mapping[str, str], switches: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the words that are no flags, and the options by flag, else by variable; a switch has an empty value.

    `values` are the flags that take a value, each with its variable, "" where it has none. Raises WrongUsage.
    """
    try:
        flags, rest = gnu_getopt(list(words), "", [*(f"{name}=" for name in values), *switches])
    except GetoptError as error:
        expected = ", ".join(f"--{name}" for name in (*values, *switches))
        raise WrongUsage(f"{error.msg}; expected {expected}") from None
    variables = {name: environ.get(f"DC_SIDECAR_{variable}", "") for name, variable in values.items() if variable}
    given = {name: value for name, value in variables.items() if value}
    given.update((flag.removeprefix("--"), value) for flag, value in flags)
    return rest, given


def on_this_machine(listen: str) -> str:
    """Return the address at which a server that listens on an address of `serve` is reached."""
    return listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


def seconds(text: str) -> float:
    """Return the seconds of a --timeout such as 2s or 500ms. Raises WrongUsage."""
    number = text.removesuffix("s")
    scale = 0.001 if number.endswith("m") and number != text else 1
    try:
        duration = float(number.removesuffix("m")) * scale
    except ValueError:
        duration = 0
    if number == text or not 0 < duration < 3600:
        raise WrongUsage(f"--timeout: found {text!r}, expected a duration such as 2s or 500ms")
    return duration


def host_and_port(place: str) -> tuple[str, int] | None:
    """Return both of `host:port`, an IPv6 address without its brackets; None if it is nothing of the kind."""
    host, colon, port = place.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 2**16):
        return None
    return host.strip("[]"), int(port)


def connect(
    host: str,
    port: int,
    deadline: float,
    tls: Mapping[str, str] | None,
    protocols: Sequence[str] = (),
) -> socket.socket:
    """Return a connection to a TCP port, made by `deadline` (of the monotonic clock).

    `tls` is None for plaintext, or else has any of `ca`, `cert` and `key` (PEM files) and `server-name`; `protocols`
    are offered by ALPN. Raises OSError, and WrongUsage for files that cannot be used.
    """
    connection = socket.create_connection((host, port), timeout=left(deadline))
    if tls is None:
        return connection
    import ssl  # noqa: PLC0415 - 5 MiB that only TLS needs

    try:
        context = ssl.create_default_context(cafile=tls.get("ca"))
        if "cert" in tls:
            context.load_cert_chain(tls["cert"], tls.get("key"))
    except OSError as error:
        connection.close()
        files = ", ".join(f"--{name}" for name in ("ca", "cert", "key") if name in tls)
        raise WrongUsage(f"{files}: expected readable PEM files: {error}") from None
    if protocols:
        context.set_alpn_protocols(list(protocols))
    connection.settimeout(left(deadline))
    return context.wrap_socket(connection, server_hostname=tls.get("server-name", host))


def read(connection: socket.socket, count: int, deadline: float) -> bytes:
    """Return `count` bytes, or fewer where the connection ends before. Raises OSError, and TimeoutError."""
    data = b""
    while len(data) < count:
        connection.settimeout(left(deadline))
        more = connection.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def left(deadline: float) -> float:
    """Return the seconds until a deadline. Raises TimeoutError if there are none."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
