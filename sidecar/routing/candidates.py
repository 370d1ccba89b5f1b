"""Candidates that are not asked about by a scheduler: workers as values, and counts such as `dc1=3,dc2=2`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sidecar.errors import BadRequest
from sidecar.routing.location import NAME

MAX_COUNTED = 10_000

_FIELD = "candidates"
_SHOWN = 256
_COUNT = re.compile(rf"({NAME.pattern})=([0-9]{{1,9}})")


@dataclass(frozen=True, slots=True)
class Worker:
    """A candidate: `host:port`, and what its datacenter is known from (see the contract's `Worker`)."""

    address: str
    datacenter: str = ""
    metrics: str = ""
    tag: str = ""


def looks_like_counts(text: str) -> bool:
    """Return whether a text has the form of counts, the bounds aside."""
    parts = list(_parts(text))
    return bool(parts) and all(map(_COUNT.fullmatch, parts))


def parse_counts(text: str, *, checkpoint: Callable[[], None] = lambda: None) -> tuple[Worker, ...]:
    """Return the workers that counts such as `dc1=3,dc2=2` stand for, at most 10,000; an empty text stands for none.

    `checkpoint` is called for each worker: there it may yield to other threads. Raises BadRequest for another text, a
    datacenter named twice, and higher counts.
    """
    counts: dict[str, int] = {}
    for part in _parts(text):
        match = _COUNT.fullmatch(part)
        if match is None:
            raise BadRequest(_FIELD, f"found {part[:_SHOWN]!r}, expected counts such as dc1=3,dc2=2")
        if match[1] in counts:
            raise BadRequest(_FIELD, f"found {match[1]} a second time, expected each datacenter once")
        counts[match[1]] = int(match[2])
    total = sum(counts.values())
    if total > MAX_COUNTED:
        raise BadRequest(_FIELD, f"found {total:,} workers, expected at most {MAX_COUNTED:,} in all")
    workers = []
    for name, count in counts.items():
        for number in range(1, count + 1):
            checkpoint()
            workers.append(Worker(f"{name}-{number}", name))
    return tuple(workers)


def _parts(text: str) -> Iterator[str]:
    return filter(None, (part.strip() for part in text.split(",")))
