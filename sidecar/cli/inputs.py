"""What commands read: the values of flags, and candidates."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from click.shell_completion import CompletionItem

from sidecar.client import Worker
from sidecar.config.kinds import DURATION, SIZE, Kind
from sidecar.routing.location import NAME
from sidecar.routing.scalars import parse_time

T = TypeVar("T")

_COUNTED = re.compile(rf"({NAME.pattern})=([0-9]{{1,6}})")
_FIELDS = ("address", "datacenter", "metrics", "tag")
_EXPECTED = "expected counts (dc1=3,dc2=2), a JSON list of workers, or a file that holds one"

CANDIDATES_HELP = (
    'The workers to choose from: counts (dc1=3,dc2=2), a JSON list such as [{"address": "10.1.0.1:27777", '
    '"datacenter": "dc1", "metrics": "", "tag": ""}], or a file with such a list (- reads standard input).'
)


class KindParam(click.ParamType[T], Generic[T]):
    """The value of a flag, read as the configuration reads its own."""

    def __init__(self, kind: Kind[T]) -> None:
        self.name = kind.metavar
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:  # noqa: ANN401 - as click calls it
        """Return what a text means, or fail with what was found and what is expected."""
        found = self._kind.read(str(value))
        return self.fail(f"found {value!r}, expected {self._kind.expected}", param, ctx) if found is None else found


TIME = KindParam(Kind("TIME", "a time with an offset such as 2026-11-22T10:00:00Z", parse_time))
TIMEOUT = KindParam(DURATION)
LENGTH = KindParam(SIZE)


class CandidatesParam(click.ParamType[tuple[Worker, ...]]):
    """Workers, as counts of datacenters, as JSON, or in a file."""

    name = "WORKERS"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click calls it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[Worker, ...]:
        """Return the workers that a text stands for."""
        text = str(value).strip()
        counts = [_COUNTED.fullmatch(part.strip()) for part in text.split(",")]
        if all(counts):
            return tuple(_counted([(match[1], int(match[2])) for match in counts if match]))
        if not text.startswith("["):
            try:
                text = sys.stdin.read() if text == "-" else Path(text).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
                self.fail(f"found {value!r}, which is no file that can be read ({why}): {_EXPECTED}", param, ctx)
        try:
            entries = json.loads(text)
        except ValueError as error:
            self.fail(f"found no JSON ({error}): {_EXPECTED}", param, ctx)
        if not isinstance(entries, list):
            self.fail(f"found JSON that is no list: {_EXPECTED}", param, ctx)
        workers = [_worker(entry) for entry in entries]
        if None in workers:
            index = workers.index(None)
            rest = ", ".join(_FIELDS[1:])
            self.fail(f"worker {index}: expected an object with an address, and {rest} if you like", param, ctx)
        return tuple(worker for worker in workers if worker)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - as click calls it
        """Complete the names of files."""
        return [CompletionItem(incomplete, type="file")]


def _worker(entry: object) -> Worker | None:
    if isinstance(entry, str):
        return Worker(entry)
    if not isinstance(entry, dict) or not entry.keys() <= set(_FIELDS) or "address" not in entry:
        return None
    # Metrics are JSON in a text; written as JSON, they are meant as that text.
    return Worker(**{name: value if isinstance(value, str) else json.dumps(value) for name, value in entry.items()})


def _counted(counts: Sequence[tuple[str, int]]) -> Iterator[Worker]:
    for datacenter, count in counts:
        for number in range(1, count + 1):
            yield Worker(f"{datacenter}-{number}", datacenter)
