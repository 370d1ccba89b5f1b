"""Logging for people (console) and for collectors (JSON): one event a line, with what belongs to it as fields."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# What every record has; the rest of its attributes came in as fields.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}


def configure(form: str, level: str) -> None:
    """Send what is logged to standard error, as `console` or `json`; `level` is debug, info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_json_formatter())
    else:
        handler.setFormatter(ConsoleFormatter(colours=sys.stderr.isatty()))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("sidecar").setLevel(_LEVELS[level])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was logged with a record as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


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
