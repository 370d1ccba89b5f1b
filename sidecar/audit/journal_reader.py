"""Reads the journal, also while it is written: records, earlier documents, and whether the chain is intact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.audit.chain_head import ChainHead, HeadFile, HeadWitness
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.hash_chain import ChainLink, read_link
from sidecar.audit.record import Record, record_of
from sidecar.audit.segments import lines_backwards, lines_forwards, segments
from sidecar.errors import ChainBroken
from sidecar.yaml_reader import Checkpoint

FOLDER = "audit"
"""The folder of the journal in a state directory."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a chain: the number of valid records, the first and last number, and the problems."""

    records: int
    first: int
    last: int
    problems: tuple[str, ...]


def newest_first(folder: Path, checkpoint: Checkpoint = lambda: None) -> Iterator[Record]:
    """Yield the records of a journal, newest first, without invalid lines. Raises OSError."""
    for path in reversed(segments(folder)):
        for line in lines_backwards(path):
            checkpoint()
            with suppress(ChainBroken, KeyError, TypeError, ValueError):
                yield record_of(read_link(line).body)


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


def verify(
    folder: Path, witnesses: Sequence[HeadWitness] = (), anchors: Sequence[tuple[ChainHead, str]] = ()
) -> Verification:
    """Check that each record is as it was written and none is missing. Raises OSError.

    Records that a sidecar removed to make room are not missing: a later record says so. Records that are missing at the
    end are known by the head in the folder, by `witnesses`, and by `anchors`: heads of any age, kept elsewhere, each
    with its place. Without anchors this does not protect against somebody who can write all these places and makes a
    new chain.
    """
    problems: list[str] = []
    chain = _Chain([*_known_heads((HeadFile(folder, "head"), *witnesses), problems), *anchors])
    chain.problems += problems
    for path in segments(folder):
        for place, line in enumerate(lines_forwards(path), 1):
            chain.check(f"{path.name}, line {place}", line)
    chain.finish()
    return Verification(
        chain.good,
        chain.first.number if chain.first else 0,
        chain.last.number if chain.last else 0,
        tuple(chain.problems),
    )


def _known_heads(witnesses: Sequence[HeadWitness], problems: list[str]) -> Iterator[tuple[ChainHead, str]]:
    """Yield each head that is kept somewhere, and where."""
    for witness in witnesses:
        try:
            head = witness.load()
        except ChainBroken as error:
            problems.append(str(error))
        else:
            if head is not None:
                yield head, witness.place


class _Chain:
    """A chain that is checked line by line, against heads that were kept, each with its place."""

    def __init__(self, heads: Sequence[tuple[ChainHead, str]]) -> None:
        self.problems: list[str] = []
        # By the number of their record; those whose record was found are removed.
        self._heads: dict[int, list[tuple[str, str]]] = {}
        for head, where in heads:
            self._heads.setdefault(head.number, []).append((head.digest, where))
        self._newest = max(heads, key=lambda known: known[0].number, default=(ChainHead(), ""))
        self.good = 0
        self.first: ChainLink | None = None
        self.last: ChainLink | None = None
        # The digest of the last record of each removed segment, by its number.
        self._removed: dict[int, str] = {}

    def check(self, place: str, line: bytes) -> None:
        """Check the next line."""
        try:
            link = read_link(line)
        except ChainBroken as error:
            self.problems.append(f"{place}: {error}")
            return
        self.good += 1
        self.first = self.first or link
        last, self.last = self.last, link
        if last is not None and (link.number, link.previous) != (last.number + 1, last.digest):
            self.problems.append(f"{place}: record {link.number} does not follow record {last.number}")
        try:
            for event in record_of(link.body).events:
                self._check_event(place, link.number, event)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.problems.append(f"{place}: record {link.number} is no record of ours")
        self.problems += [
            f"record {link.number} is not the one that was written, by {where}"
            for digest, where in self._heads.pop(link.number, ())
            if digest != link.digest
        ]

    def _check_event(self, place: str, number: int, event: AuditEvent) -> None:
        if event.kind is EventKind.REMOVED:
            self._removed[int(event.before)] = event.after
        elif event.kind is EventKind.BROKEN or (event.detail or {}).get("cause") == "removed":
            self.problems.append(f"{place}: record {number} reports a break: {event.text}")

    def finish(self) -> None:
        """Check the ends, after the last line."""
        first, last = self.first, self.last.number if self.last else 0
        if first is not None and first.number > 1 and self._removed.get(first.number - 1) != first.previous:
            self.problems.append(f"records 1 to {first.number - 1} are missing, and nothing says that they made room")
        head, where = self._newest
        if last < head.number:
            self.problems.append(f"records {last + 1} to {head.number} are missing at the end, by {where}")
        # Those before the first made room, which a record says.
        for number in sorted(self._heads):
            if first is not None and first.number <= number <= last:
                self.problems.append(f"record {number} is missing, by {self._heads[number][0][1]}")
