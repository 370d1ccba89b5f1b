"""The record of changes as JSON: what a query asks for, and as much of it as one answer may hold."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from sidecar.gil import Yielder
from sidecar.routing.scalars import parse_duration, parse_time

HistoryReader = Callable[[str | None, int, Callable[[], None]], Iterable[dict[str, Any]]]
"""Returns the changes that moved an application, or all, since a time (Unix nanoseconds), the newest first.

It calls its last argument between them, and may raise OSError."""

_LIMIT = 100
_MAX_LIMIT = 1000
# A switch of ten thousand applications names them all.
_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The part of the record that a query asks for."""

    app: str | None
    since_ns: int
    limit: int


def history_query(query: Mapping[str, str]) -> HistoryQuery:
    """Return the parameters of a query as values. Raises HTTPException for one that is wrong."""
    since = query.get("since")
    since_ns: int | None = 0
    if since is not None:
        ago = parse_duration(since)
        since_ns = time.time_ns() - ago if ago else parse_time(since)
    if since_ns is None:
        raise HTTPException(
            400,
            f"since: found {since!r:.60}, expected a time such as 2026-11-22T10:00:00Z, or how long ago, such as 24h",
        )
    limit = query.get("limit", str(_LIMIT))
    if not re.fullmatch("[1-9][0-9]{0,3}", limit) or int(limit) > _MAX_LIMIT:
        raise HTTPException(400, f"limit: found {limit!r:.60}, expected a whole number from 1 to {_MAX_LIMIT}")
    return HistoryQuery(query.get("app"), since_ns, int(limit))


def history_json(read: HistoryReader, query: HistoryQuery) -> bytes:
    """Return the changes, encoded; `more` is true if older ones fit too. Not for the loop. Raises OSError."""
    changes: list[msgspec.Raw] = []
    size = 0
    more = False
    for change in read(query.app, query.since_ns, Yielder()):
        if len(changes) == query.limit or size >= _BYTES:
            more = True
            break
        encoded = msgspec.json.encode(change)
        changes.append(msgspec.Raw(encoded))
        size += len(encoded)
    return msgspec.json.encode({"changes": changes, "more": more})
