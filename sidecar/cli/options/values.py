"""Types of the values that commands take: times, durations, sizes, workers."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from click.shell_completion import CompletionItem

from sidecar.config import kinds
from sidecar.config.kinds import Kind
from sidecar.errors import BadRequest
from sidecar.routing.candidates import Worker, looks_like_counts, parse_counts
from sidecar.routing.scalars import SECOND_NS, parse_duration, parse_time

T = TypeVar("T")

_TIME = "a time with an offset such as 2026-11-22T10:00:00Z"
_WORKER_FIELDS = ("address", "datacenter", "metrics", "tag")
_CANDIDATES = "expected counts (dc1=3,dc2=2), a JSON list of workers, or a file with one"

CANDIDATES_HELP = (
    'The workers to choose from: counts (dc1=3,dc2=2), a JSON list such as [{"address": "10.1.0.1:27777", '
    '"datacenter": "dc1", "metrics": "", "tag": ""}], or a file with such a list (- for standard input).'
)


class KindParam(click.ParamType[T], Generic[T]):
    """A value that is read as the configuration reads its own."""

    def __init__(self, kind: Kind[T]) -> None:
        self.name = kind.metavar
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:  # noqa: ANN401 - click's
        """Return the value of a text, or fail with the text and the expected form."""
        found = self._kind.read(str(value))
        return self.fail(f"found {value!r}, expected {self._kind.expected}", param, ctx) if found is None else found


@dataclass(frozen=True, slots=True)
class Start:
    """A time in Unix nanoseconds, or a number of nanoseconds from now."""

    at_ns: int
    relative: bool


def start_ns(start: Start | None, now_ns: int) -> int:
    """Return a start as Unix nanoseconds, in whole seconds; without one it is now."""
    if start is None:
        return now_ns // SECOND_NS * SECOND_NS
    return (now_ns + start.at_ns) // SECOND_NS * SECOND_NS if start.relative else start.at_ns


def _start(text: str) -> Start | None:
    moment = parse_time(text)
    if moment is not None:
        return Start(moment, relative=False)
    delay = parse_duration(text)
    return Start(delay, relative=True) if delay else None


def _since(text: str) -> int | None:
    duration = parse_duration(text)
    return time.time_ns() - duration if duration else parse_time(text)


def _seconds(text: str) -> float | None:
    nanoseconds = parse_duration(text if text[-1:].isalpha() else f"{text}s")
    return nanoseconds / SECOND_NS if nanoseconds else None


TIME = KindParam(Kind("TIME", _TIME, parse_time))
TIMEOUT = KindParam(kinds.DURATION)
SIZE = KindParam(kinds.SIZE)
SECONDS = KindParam(Kind("SECONDS", "seconds, or a duration such as 30s", _seconds))
# The text itself is what the document will say.
DURATION = KindParam(
    Kind("DURATION", "a duration over 0 such as 30m or 1h30m", lambda text: text if parse_duration(text) else None)
)
START = KindParam(Kind("TIME", f"{_TIME}, or a duration from now such as 10m", _start))
SINCE = KindParam(Kind("TIME", f"{_TIME}, or how long ago such as 24h", _since))


class CandidatesParam(click.ParamType[tuple[Worker, ...]]):
    """Workers: counts of datacenters, JSON, or a file with JSON."""

    name = "WORKERS"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[Worker, ...]:
        """Return the workers that a text stands for."""
        text = str(value).strip()
        try:
            return parse_counts(text) if looks_like_counts(text) else _listed_workers(text)
        except BadRequest as error:
            return self.fail(error.message, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's
        """Complete the names of files."""
        return [CompletionItem(incomplete, type="file")]


def _listed_workers(text: str) -> tuple[Worker, ...]:
    """Return the workers of a JSON list, or of the file that holds one. Raises BadRequest."""
    field = "candidates"
    if not text.startswith("["):
        try:
            text = sys.stdin.read() if text == "-" else Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise BadRequest(field, f"found {text!r}, which cannot be read as a file ({why}): {_CANDIDATES}") from error
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise BadRequest(field, f"found invalid JSON ({error}): {_CANDIDATES}") from error
    if not isinstance(entries, list):
        raise BadRequest(field, f"found JSON that is not a list: {_CANDIDATES}")
    workers = []
    for index, entry in enumerate(entries):
        worker = _worker(entry)
        if worker is None:
            optional = ", ".join(_WORKER_FIELDS[1:])
            raise BadRequest(field, f"worker {index}: expected an object with an address, and optionally {optional}")
        workers.append(worker)
    return tuple(workers)


def _worker(entry: object) -> Worker | None:
    if isinstance(entry, str):
        return Worker(entry)
    if not isinstance(entry, dict) or not entry.keys() <= set(_WORKER_FIELDS) or "address" not in entry:
        return None
    # Metrics are a text that may hold JSON; written as JSON, they are meant as that text.
    return Worker(**{name: value if isinstance(value, str) else json.dumps(value) for name, value in entry.items()})
