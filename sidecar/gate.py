"""`dc-sidecar active`: runs a command where the sidecar says that its datacenter is active, over one HTTP request.

Cron and systemd start it for every job, so it does without an HTTP library too; see probe.py.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

from sidecar import probe
from sidecar.probe import NoAnswer, WrongUsage
from sidecar.unanswered import HTTP, SLOW

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
_CANNOT_RUN, _NOT_FOUND = 126, 127
# A long poll of the sidecar, and the pause after an answer that was none.
_POLL_S = 30
_PAUSE_S = 1.0
_MAX_ANSWER = 64 * 1024


class _Question:
    """One application in one datacenter, and the sidecar to ask."""

    __slots__ = ("_host", "_path", "_port", "_timeout", "_tls", "_token", "address")

    def __init__(self, app: str, options: Mapping[str, str]) -> None:
        self.address = options["http"]
        scheme, separator, place = self.address.rpartition("://")
        found = probe.host_and_port(place.rstrip("/"))
        if scheme not in {"", "http", "https"} or found is None:
            raise WrongUsage(f"--http: found {self.address!r}, expected host:port or https://host:port")
        self._host, self._port = found
        secure = scheme == "https" or (not separator and "ca" in options)
        self._tls = {name: options[name] for name in ("ca",) if name in options} if secure else None
        self._timeout = probe.seconds(options.get("timeout", "2s"))
        self._token = _token(options["http-token-file"]) if "http-token-file" in options else ""
        self._path = f"/v1/active/{_quoted(app)}/{_quoted(options['datacenter'])}?key={_quoted(options.get('key', ''))}"

    def ask(self, known: str = "") -> tuple[bool | None, str, str]:
        """Return whether the datacenter is active, the line that says why, and the answer's ETag.

        With the ETag of an answer it waits for another one, and returns None for the first if none came in half a
        minute. Raises NoAnswer and WrongUsage.
        """
        wait = _POLL_S if known else 0
        deadline = time.monotonic() + self._timeout + wait
        try:
            with probe.connect(self._host, self._port, deadline, self._tls) as connection:
                connection.sendall(self._request(known, wait))
                answer = probe.read(connection, _MAX_ANSWER, deadline)
        except TimeoutError:
            raise NoAnswer(f"{self.address}: no answer within {self._timeout:g} s: {SLOW}") from None
        except OSError as error:
            raise NoAnswer(f"{self.address}: no sidecar answers there ({error.strerror or error}): {HTTP}") from None
        return self._judged(answer)

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
            raise WrongUsage(said)
        raise NoAnswer(said if status else f"{self.address}: the answer is not HTTP: is this a sidecar's --http?")


def main(argv: Sequence[str]) -> int:
    """Ask, then run the command or return the exit code: 0 active, 75 not, 2 wrong usage, 6 no answer."""
    try:
        return _main(list(argv), os.environ)
    except WrongUsage as error:
        sys.stderr.write(f"Error: {error}\n")
        return probe.USAGE


def _main(words: list[str], environ: Mapping[str, str]) -> int:
    split = words.index("--") if "--" in words else len(words)
    command = words[split + 1 :]
    app, options = _options(words[:split], environ)
    away = _exit_code(options.get("else", str(_AWAY)))
    when_away = options.get("when-away", "")
    if when_away not in {"", "run", "skip"}:
        raise WrongUsage(f"--when-away: found {when_away!r}, expected run or skip")
    try:
        active, line = _answer(_Question(app, options), wait="wait" in options, or_else=when_away)
    except NoAnswer as error:
        sys.stderr.write(f"Error: {error}\n")
        if not when_away:
            return probe.NO_ANSWER
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
        except NoAnswer:
            # A sidecar that restarts is no reason to give up waiting, unless it was said what to do then.
            if not wait or or_else:
                raise
            etag = ""
            time.sleep(_PAUSE_S)
            continue
        if active or not wait:
            return bool(active), line


def _run(command: list[str]) -> int:
    """Replace this process by the command, whose exit code and signals count. Returns only where it cannot run."""
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)  # noqa: S606 - a command of its caller, without a shell
    except OSError as error:
        sys.stderr.write(f"Error: {command[0]}: {error.strerror}\n")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN


def _options(words: Sequence[str], environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the application, and the options by flag, else by variable."""
    rest, options = probe.options(words, environ, values=_VALUES, switches=("wait",))
    if len(rest) != 1 or not rest[0]:
        found = "nothing" if not rest else " ".join(map(repr, rest))
        raise WrongUsage(f"found {found}, expected one application, and the command after --")
    options["http"] = probe.on_this_machine(options.get("http", _DEFAULT))
    if not options.get("datacenter"):
        raise WrongUsage("expected the datacenter that this runs in: --datacenter DC or DC_SIDECAR_DATACENTER")
    return rest[0], options


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib takes 10 ms to import
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"--http-token-file: {path} cannot be read: {error}") from None


def _quoted(text: str) -> str:
    """Return a text as it may stand in a URL: all but letters, digits and -._~ as UTF-8 in percent encoding."""
    encoded = text.encode(errors="surrogateescape")
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"-._~" else f"%{byte:02X}" for byte in encoded
    )


def _exit_code(text: str) -> int:
    if text.isdecimal() and int(text) < 256:
        return int(text)
    raise WrongUsage(f"--else: found {text!r}, expected an exit code from 0 to 255")
