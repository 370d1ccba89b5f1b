"""Reads the journal, also while it is written: records, earlier documents, and whether the chain is intact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.audit.event import EventKind
from sidecar.audit.hash_chain import START, ChainLink, read_link
from sidecar.audit.journal import head, segments
from sidecar.audit.record import Record, record_of
from sidecar.errors import ChainBroken
from sidecar.yaml_reader import Checkpoint

FOLDER = "audit"
"""The folder of the journal in a state directory."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a chain: the number of valid records, the first and last number, and what is wrong."""

    records: int
    first: int
    last: int
    problems: tuple[str, ...]


def newest_first(folder: Path, checkpoint: Checkpoint = lambda: None) -> Iterator[Record]:
    """Yield the records of a journal, newest first, without invalid lines. Raises OSError."""
    for path in reversed(segments(folder)):
        lines = _lines(path)
        while lines:
            checkpoint()
            with suppress(ChainBroken, KeyError, TypeError, ValueError):
                yield record_of(read_link(lines.pop()).body)


def matching(records: Iterable[Record], app: str | None, since_ns: int) -> Iterator[Record]:
    """Yield those of `records`, newest first, since a time (Unix nanoseconds), of `app` or of all (None)."""
    for record in records:
        if record.at_ns < since_ns:
            return
        if app is None or app in record.apps:
            yield record


def summaries(folder: Path, app: str | None, since_ns: int, checkpoint: Checkpoint) -> Iterator[dict[str, Any]]:
    """Yield the matching records for JSON, newest first, without the documents' texts. Raises OSError."""
    return (record.outline() for record in matching(newest_first(folder, checkpoint), app, since_ns))


def documents(folder: Path, source: str, checkpoint: Checkpoint = lambda: None) -> Iterator[Record]:
    """Yield the records with which a document of a source took effect, newest first. Raises OSError.

    `text` and `revision` are the document's, `meta` has who wrote it and why.
    """
    for record in newest_first(folder, checkpoint):
        if record.source == source and record.text and record.events[0].kind is EventKind.APPLIED:
            yield record


def verify(folder: Path) -> Verification:
    """Check that each record is as it was written and none is missing. Raises OSError.

    Records that a sidecar removed to make room are not missing: a later record says so. This does not protect against
    somebody who can write the whole folder and makes a new chain; a copy elsewhere does, as in a shared database.
    """
    problems: list[str] = []
    removed: dict[int, str] = {}
    first: ChainLink | None = None
    last: ChainLink | None = None
    good = 0
    end_number, end_digest = 0, START
    try:
        end_number, end_digest = head(folder)
    except ChainBroken as error:
        problems.append(str(error))
    for path in segments(folder):
        for place, line in enumerate(_lines(path), 1):
            try:
                link = read_link(line)
            except ChainBroken as error:
                problems.append(f"{path.name}, line {place}: {error}")
                continue
            good += 1
            first = first or link
            if last is not None and (link.number, link.previous) != (last.number + 1, last.digest):
                problems.append(f"{path.name}, line {place}: record {link.number} does not follow record {last.number}")
            last = link
            for event in link.body.get("events", ()):
                if event.get("kind") == EventKind.REMOVED.value:
                    removed[int(event["before"])] = event["after"]
            if link.number == end_number and link.digest != end_digest:
                problems.append(f"record {link.number} is not the one that was written last")
    if first is not None and first.number > 1 and removed.get(first.number - 1) != first.previous:
        problems.append(f"records 1 to {first.number - 1} are missing, and nothing says that they made room")
    if (last.number if last else 0) < end_number:
        problems.append(f"records {last.number + 1 if last else 1} to {end_number} are missing at the end")
    return Verification(good, first.number if first else 0, last.number if last else 0, tuple(problems))


def _lines(path: Path) -> list[bytes]:
    """Return the complete lines: the last one may still be being written."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        # Removed to make room after it was listed.
        return []
