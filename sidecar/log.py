"""Logging to standard error, as console text or JSON: one event per line, with its values as fields."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sidecar.terminal import escaped, escaped_json, escaped_message

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# The attributes of every record; the others are fields.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# How often the same message is written within a period, and how many messages are tracked.
_MAX_REPEATS = 5
_PERIOD_S = 60.0
_MAX_MESSAGES = 1000
_COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}


def configure(form: str, level: str) -> None:
    """Log to standard error, as `console` or `json`, from a level on: debug, info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_json_formatter())
    else:
        handler.setFormatter(ConsoleFormatter(colours=sys.stderr.isatty()))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Set the minimum level: debug, info, warning or error. Libraries stay at warning."""
    logging.getLogger("sidecar").setLevel(_LEVELS[level])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record: those logged as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class RepeatFilter(logging.Filter):
    """Passes the same warning or error five times a minute; the next one then has the number `left_out`.

    Messages are the same if they come from the same line of code, whatever their values: a flapping server, or a probe
    that fails in ever new ways, cannot fill a disk. Below warning everything passes: each change is its own event.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        # For each message: when it first passed in this period, how often it has, and how many were left out.
        self._seen: dict[tuple[str, int, str], tuple[float, int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record."""
        if record.levelno < logging.WARNING:
            return True
        template = str(record.msg)
        # A template such as "%s" has no words of its own: its values identify it.
        key = (record.name, record.levelno, template if any(map(str.isspace, template)) else record.getMessage())
        with self._lock:
            if len(self._seen) > _MAX_MESSAGES:
                self._seen.clear()
            now = self._clock()
            since, passed, left_out = self._seen.get(key, (now, 0, 0))
            if now - since >= _PERIOD_S:
                since, passed = now, 0
            if passed >= _MAX_REPEATS:
                self._seen[key] = since, passed, left_out + 1
                return False
            self._seen[key] = since, passed + 1, 0
        if left_out:
            record.left_out = left_out
        return True


class ConsoleFormatter(logging.Formatter):
    """Formats `14:03:07 message  field=value`, with the level of warnings and errors, in colour on a terminal."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, followed by its traceback if it has one."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        fields = "".join(f"  {name}={value}" for name, value in fields_of(record).items())
        line = f"{moment:%H:%M:%S} {level}{escaped(f'{record.getMessage()}{fields}')}"
        if self._colours and record.levelno in _COLOURS:
            line = f"{_COLOURS[record.levelno]}{line}\033[0m"
        if record.exc_info:
            line += f"\n  {escaped_message(self.formatException(record.exc_info))}"
        return line


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - only where it is configured

    class EscapingFormatter(JsonFormatter):
        """JSON in which nothing acts on a terminal."""

        def format(self, record: logging.LogRecord) -> str:
            return escaped_json(super().format(record))

    return EscapingFormatter(
        "{levelname}{name}{message}",
        style="{",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger"},
        json_ensure_ascii=False,
    )
