"""Logging for people (console) and for collectors (JSON): one event a line, with what belongs to it as fields."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# What every record has; the rest of its attributes came in as fields.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# How often the same message is written within how many seconds, and for how many messages that is counted.
_MOST_REPEATS = 5
_WITHIN_S = 60.0
_MOST_MESSAGES = 1000
_COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}


def configure(form: str, level: str) -> None:
    """Send what is logged to standard error, as `console` or `json`; `level` is debug, info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_json_formatter())
    else:
        handler.setFormatter(ConsoleFormatter(colours=sys.stderr.isatty()))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Let through what is worth at least this: debug, info, warning or error. Libraries stay at warning."""
    logging.getLogger("sidecar").setLevel(_LEVELS[level])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was logged with a record as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class RepeatFilter(logging.Filter):
    """Lets the same warning or error through five times in a minute, and then says how many were left out.

    The same is what was written at the same place in the code, whatever its values were; so a server that comes and
    goes all the time, or a probe that fails in ever new words, cannot fill a disk. What is below a warning passes: each
    change is an event of its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        # When each message was first let through in this minute, how often since, and how many were left out.
        self._seen: dict[tuple[str, int, str], tuple[float, int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is to be written."""
        if record.levelno < logging.WARNING:
            return True
        words = str(record.msg)
        # What has no words of its own but values is known by these.
        key = (record.name, record.levelno, words if any(map(str.isspace, words)) else record.getMessage())
        with self._lock:
            if len(self._seen) > _MOST_MESSAGES:
                self._seen.clear()
            now = self._clock()
            began, passed, left_out = self._seen.get(key, (now, 0, 0))
            if now - began >= _WITHIN_S:
                began, passed = now, 0
            if passed >= _MOST_REPEATS:
                self._seen[key] = began, passed, left_out + 1
                return False
            self._seen[key] = began, passed + 1, 0
        if left_out:
            record.left_out = left_out
        return True


class ConsoleFormatter(logging.Formatter):
    """`14:03:07 message  field=value`, warnings and errors said so and, on a terminal, in colour."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, with a traceback below where there is one."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        fields = "".join(f"  {name}={value}" for name, value in fields_of(record).items())
        line = f"{moment:%H:%M:%S} {level}{record.getMessage()}{fields}"
        if self._colours and record.levelno in _COLOURS:
            line = f"{_COLOURS[record.levelno]}{line}\033[0m"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - only where it is asked for

    return JsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger"},
        json_ensure_ascii=False,
    )
