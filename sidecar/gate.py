"""`dc-sidecar active`: runs a command where the sidecar says that its datacenter is active, over one HTTP request.

Cron and systemd start it for every job, so it does without click, gRPC and an HTTP library: they would take half a
second of CPU.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from getopt import GetoptError, gnu_getopt

_DEFAULT = "127.0.0.1:8080"
# Each with its variable, "" where it has none.
_VALUES = {
    "datacenter": "DATACENTER",
    "key": "",
    "else": "",
    "when-away": "",
    "timeout": "",
    "http": "HTTP",
    "http-token-file": "HTTP_TOKEN_FILE",
    "ca": "CA",
}
_AWAY = 75
"""EX_TEMPFAIL of sysexits.h: mail servers and batch systems try again later."""
_NO_ANSWER, _USAGE, _CANNOT_RUN, _NOT_FOUND = 6, 2, 126, 127
# A long poll of the sidecar, and the pause after an answer that was none.
_POLL_S = 30
_PAUSE_S = 1.0
_MAX_ANSWER = 64 * 1024


class _NoAnswer(Exception):
    """Nothing answers, or the sidecar has no document; the message says which."""


class _WrongUsage(Exception):
    """A flag, a variable or a file is wrong; the message says what was found and what is expected."""


class _Question:
    """One application in one datacenter, and the sidecar to ask."""

    __slots__ = ("_ca", "_host", "_path", "_port", "_secure", "_timeout", "_token", "address")

    def __init__(self, app: str, options: Mapping[str, str]) -> None:
        self.address = options["http"]
        scheme, separator, place = self.address.rpartition("://")
        host, colon, port = place.rstrip("/").rpartition(":")
        if scheme not in {"", "http", "https"} or not (colon and host and port.isdecimal() and int(port) < 2**16):
            raise _WrongUsage(f"--http: found {self.address!r}, expected host:port or https://host:port")
        self._secure = scheme == "https" or (not separator and "ca" in options)
        self._host, self._port = host.strip("[]"), int(port)
        self._ca = options.get("ca")
        self._timeout = _seconds(options.get("timeout", "2s"))
        self._token = _token(options["http-token-file"]) if "http-token-file" in options else ""
        self._path = f"/v1/active/{_quoted(app)}/{_quoted(options['datacenter'])}?key={_quoted(options.get('key', ''))}"

    def ask(self, known: str = "") -> tuple[bool | None, str, str]:
        """Return whether the datacenter is active, the line that says why, and the answer's ETag.

        With the ETag of an answer it waits for another one, and returns None for the first if none came in half a
        minute. Raises _NoAnswer and _WrongUsage.
        """
        wait = _POLL_S if known else 0
        deadline = time.monotonic() + self._timeout + wait
        try:
            with self._connect(deadline) as connection:
                connection.sendall(self._request(known, wait))
                answer = _read(connection, deadline)
        except TimeoutError:
            raise _NoAnswer(f"{self.address}: no answer within {self._timeout:g} s") from None
        except OSError as error:
            raise _NoAnswer(f"{self.address}: {error.strerror or error}") from None
        return self._judged(answer)

    def _connect(self, deadline: float) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout=_left(deadline))
        if not self._secure:
            return connection
        import ssl  # noqa: PLC0415 - 5 MiB that only TLS needs

        try:
            context = ssl.create_default_context(cafile=self._ca)
        except OSError as error:
            connection.close()
            raise _WrongUsage(f"--ca: expected a readable PEM file: {error}") from None
        return context.wrap_socket(connection, server_hostname=self._host)

    def _request(self, known: str, wait: int) -> bytes:
        host = f"[{self._host}]" if ":" in self._host else self._host
        path = self._path + (f"&wait={wait}s" if wait else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{self._port}", "Connection: close"]
        if known:
            lines.append(f"If-None-Match: {known}")
        if self._token:
            lines.append(f"Authorization: Bearer {self._token}")
        return "\r\n".join((*lines, "", "")).encode()

    def _judged(self, answer: bytes) -> tuple[bool | None, str, str]:
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        status = lines[0].split(" ")[1:2]
        text = body.decode(errors="replace").strip()
        if status == ["304"]:
            return None, "", headers.get("etag", "")
        if "x-active" in headers:
            return headers["x-active"] == "true", text, headers.get("etag", "")
        said = f"{self.address}: {lines[0][:80]}: {text[:400]}"
        if status and status[0].startswith("4"):
            raise _WrongUsage(said)
        raise _NoAnswer(said if status else f"{self.address}: the answer is not HTTP: is this a sidecar's --http?")


def main(argv: Sequence[str]) -> int:
    """Ask, then run the command or return the exit code: 0 active, 75 not, 2 wrong usage, 6 no answer."""
    try:
        return _main(list(argv), os.environ)
    except _WrongUsage as error:
        sys.stderr.write(f"Error: {error}\n")
        return _USAGE


def _main(words: list[str], environ: Mapping[str, str]) -> int:
    split = words.index("--") if "--" in words else len(words)
    command = words[split + 1 :]
    app, options = _options(words[:split], environ)
    away = _exit_code(options.get("else", str(_AWAY)))
    when_away = options.get("when-away", "")
    if when_away not in {"", "run", "skip"}:
        raise _WrongUsage(f"--when-away: found {when_away!r}, expected run or skip")
    try:
        active, line = _answer(_Question(app, options), wait="wait" in options, or_else=when_away)
    except _NoAnswer as error:
        sys.stderr.write(f"Error: {error}\n")
        if not when_away:
            return _NO_ANSWER
        active, line = when_away == "run", f"no answer, so as --when-away says: {when_away}"
    if not command:
        sys.stdout.write(f"{line}\n")
        return 0 if active else away
    # Nothing is printed where it is not active: cron would mail it, each time.
    return _run(command) if active else away


def _answer(question: _Question, *, wait: bool, or_else: str) -> tuple[bool, str]:
    """Return whether the datacenter is active and why; with `wait` only once it is."""
    etag = ""
    while True:
        try:
            active, line, etag = question.ask(etag)
        except _NoAnswer:
            # A sidecar that restarts is no reason to give up waiting, unless it was said what to do then.
            if not wait or or_else:
                raise
            etag = ""
            time.sleep(_PAUSE_S)
            continue
        if active or not wait:
            return bool(active), line


def _run(command: list[str]) -> int:
    """Become the command, so that its exit code and signals are its own; return only where it cannot be run."""
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)  # noqa: S606 - a command of its caller, without a shell
    except OSError as error:
        sys.stderr.write(f"Error: {command[0]}: {error.strerror}\n")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN


def _options(words: Sequence[str], environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the application, and the options by flag, else by variable."""
    names = [f"{name}=" for name in _VALUES]
    try:
        flags, rest = gnu_getopt(list(words), "", [*names, "wait"])
    except GetoptError as error:
        expected = ", ".join(f"--{name}" for name in (*_VALUES, "wait"))
        raise _WrongUsage(f"{error.msg}; expected {expected}, and the command after --") from None
    if len(rest) != 1 or not rest[0]:
        found = "nothing" if not rest else " ".join(map(repr, rest))
        raise _WrongUsage(f"found {found}, expected one application, and the command after --")
    variables = {name: environ.get(f"DC_SIDECAR_{variable}", "") for name, variable in _VALUES.items() if variable}
    options = {name: value for name, value in variables.items() if value}
    if "http" in options:
        # The address that `serve` listens on.
        options["http"] = options["http"].replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
    options.update((flag.removeprefix("--"), value) for flag, value in flags)
    options.setdefault("http", _DEFAULT)
    if not options.get("datacenter"):
        raise _WrongUsage("expected the datacenter that this runs in: --datacenter DC or DC_SIDECAR_DATACENTER")
    return rest[0], options


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib takes 10 ms to import
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _WrongUsage(f"--http-token-file: {path} cannot be read: {error}") from None


def _read(connection: socket.socket, deadline: float) -> bytes:
    answer = b""
    while len(answer) < _MAX_ANSWER:
        connection.settimeout(_left(deadline))
        more = connection.recv(_MAX_ANSWER)
        if not more:
            break
        answer += more
    return answer


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _quoted(text: str) -> str:
    """Return a text as it may stand in a URL: all but letters, digits and -._~ as UTF-8 in percent encoding."""
    encoded = text.encode(errors="surrogateescape")
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"-._~" else f"%{byte:02X}" for byte in encoded
    )


def _exit_code(text: str) -> int:
    if text.isdecimal() and int(text) < 256:
        return int(text)
    raise _WrongUsage(f"--else: found {text!r}, expected an exit code from 0 to 255")


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
