"""The journal of the audit: JSON Lines in segments, bounded in size, flushed, and written by one process at a time."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.atomic_file import sync_folder
from sidecar.audit.chain_head import ChainHead, HeadFile, HeadWitness
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.hash_chain import ChainLink, append_link, read_link
from sidecar.audit.record import Record, RecordCause
from sidecar.audit.segments import complete_length, first_number, lines_backwards, segment_path, segments
from sidecar.audit.wording import broken_text, gone_text, removal_text
from sidecar.errors import ChainBroken, JournalInUse
from sidecar.state_file import make_state_folder, open_state_file
from sidecar.yaml_reader import Checkpoint

log = logging.getLogger(__name__)

_HEAD = "head"
_LOCK = "lock"
_SEGMENTS = 8
"""How many files the size bound is divided among: the oldest is removed as a whole."""


@dataclass(frozen=True, slots=True)
class _ChainEnd:
    """The end of the chain on disk: its last valid record, and its problem, "" for none."""

    head: ChainHead
    problem: str = ""


class Journal:
    """Appends records to the segments of a folder; opened by `open` or the first append, and again after each failure.

    `max_bytes` bounds all segments together, but for the last append. The oldest ones are removed to stay below, which
    a record says. `witnesses` keep the head of the chain in other places than the folder. `breaks` counts how often
    records were found missing or changed: then a record says so at the beginning of a new segment, and the log.
    `checkpoint` is called while a record is written, to let other threads run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        witnesses: Sequence[HeadWitness] = (),
        checkpoint: Checkpoint = lambda: None,
    ) -> None:
        self.breaks = 0
        self._folder = folder
        self._segment_bytes = max(1, max_bytes // _SEGMENTS)
        self._max_bytes = max_bytes
        self._checkpoint = checkpoint
        self._heads: tuple[HeadWitness, ...] = (HeadFile(folder, _HEAD), *witnesses)
        self._lock = -1
        self._file = -1
        self._path = Path()
        self._size = 0
        self._head = ChainHead()
        # What this process last saw of its segments, by name with inode: None before it opened them.
        self._seen: Mapping[str, int] | None = None

    def open(self) -> None:
        """Open the journal, and check that its end is as it was left. Raises OSError, JournalInUse among them."""
        try:
            if self._file >= 0 and not self._in_place():
                self.close()
            if self._file < 0:
                self._open()
        except OSError:
            self._give_up()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """Write records and flush them to disk, all or none. Raises OSError, JournalInUse among them."""
        self.open()
        try:
            if self._size >= self._segment_bytes:
                self._begin_segment()
            self._write([record.plain() for record in records])
        except OSError:
            self._give_up()
            raise

    def close(self) -> None:
        """Close the files and release the lock."""
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def _give_up(self) -> None:
        """Close after a failure. What the disk has of it is unknown: the next append finds out and repairs it."""
        if self._file >= 0:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
        self.close()

    def _in_place(self) -> bool:
        """Return whether the files are the ones that were opened, and none was removed or cut. Raises OSError."""
        try:
            current, lock = (path.lstat() for path in (self._path, self._folder / _LOCK))
        except FileNotFoundError:
            return False
        return (
            os.path.samestat(current, os.fstat(self._file))
            and os.path.samestat(lock, os.fstat(self._lock))
            and current.st_size >= self._size
            and self._listing() == self._seen
        )

    def _open(self) -> None:
        """Lock the folder, cut off an unfinished line, and continue the chain, in a new segment if it is broken."""
        make_state_folder(self._folder)
        self._lock = open_state_file(self._folder / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalInUse(error.errno, f"another sidecar is writing to {self._folder}") from error
        self._resume_segment()
        known, unreadable = self._known_heads()
        expected = max(known, key=lambda head: head.number)
        end = self._chain_end(known)
        newest = expected if expected.number >= end.head.number else end.head
        gone = self._gone(end.head)
        problems = list(filter(None, (end.problem, *unreadable)))
        if gone:
            lost = AuditEvent(
                kind=EventKind.LOST,
                text=gone_text(gone),
                detail={"cause": "removed", "count": sum(last - first + 1 for first, last in gone)},
            )
            self._continue_after(lost, newest)
        elif problems or end.head.number < expected.number:
            broken = AuditEvent(
                kind=EventKind.BROKEN,
                text=broken_text(end.head.number, expected.number, problems),
                detail={"found": end.head.number, "expected": expected.number, "digest": expected.digest},
            )
            self._continue_after(broken, newest)
        else:
            self._head = end.head
            if self._file < 0:
                self._create_segment()
        self._seen = self._listing()
        self._save_head()

    def _resume_segment(self) -> None:
        """Open the newest segment that has a complete line, and cut off an unfinished one."""
        for path in reversed(segments(self._folder)):
            self._file, self._path = open_state_file(path, os.O_RDWR | os.O_APPEND), path
            self._size = complete_length(self._file)
            if self._size < os.fstat(self._file).st_size:
                os.ftruncate(self._file, self._size)
                os.fsync(self._file)
            if self._size:
                return
            # It was only begun: the one before is continued.
            os.close(self._file)
            self._file = -1
            path.unlink()

    def _known_heads(self) -> tuple[list[ChainHead], list[str]]:
        """Return the heads that this process and its witnesses know, and the problems of witnesses."""
        known, problems = [self._head], []
        for witness in self._heads:
            try:
                found = witness.load()
            except ChainBroken as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{witness.place}: {error.strerror}")
            else:
                known += [found] if found is not None else []
        return known, problems

    def _chain_end(self, known: Sequence[ChainHead]) -> _ChainEnd:
        """Return the end of the chain on disk, compared with those of the known heads whose record is there."""
        oldest = min((head.number for head in known if head.number), default=0)
        end: ChainHead | None = None
        problem = ""
        for path in reversed(segments(self._folder)):
            for line in lines_backwards(path):
                try:
                    link = read_link(line)
                except ChainBroken as error:
                    # It stays: `history verify` must find it.
                    problem = problem or f"the end of {path.name}: {error}"
                    continue
                end = end or ChainHead(link.number, link.digest)
                if any(link.number == head.number and link.digest != head.digest for head in known):
                    return _ChainEnd(end, f"record {link.number} is not the one that was written last")
                if link.number <= oldest or not oldest:
                    return _ChainEnd(end, problem)
        return _ChainEnd(end or ChainHead(), problem)

    def _gone(self, end: ChainHead) -> list[tuple[int, int]]:
        """Return the first and last numbers of records that this process wrote or saw, and that are not there."""
        if self._seen is None:
            return []
        there = self._listing()
        firsts = sorted(first_number(Path(name)) for name in self._seen)
        lasts = [following - 1 for following in firsts[1:]]
        found = [
            (first, last)
            for first, last in zip(firsts, lasts, strict=False)
            if segment_path(self._folder, first).name not in there
        ]
        if end.number < self._head.number:
            begin = max(end.number, *(last for _, last in found)) if found else end.number
            found.append((begin + 1, self._head.number))
        return found

    def _continue_after(self, event: AuditEvent, head: ChainHead) -> None:
        """Begin a segment behind a break of the chain, with a record of it."""
        log.error("the audit is broken: %s; it is continued in a new segment", event.text)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        while segment_path(self._folder, head.number + 1).exists():
            head = ChainHead(head.number + 1, head.digest)
        self._head = head
        self._create_segment()
        self._write([_own_record(event).plain()])
        self.breaks += 1

    def _create_segment(self) -> None:
        path = segment_path(self._folder, self._head.number + 1)
        self._file, self._path = open_state_file(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), path
        self._size = os.fstat(self._file).st_size
        sync_folder(self._folder)

    def _begin_segment(self) -> None:
        """Start another segment, and remove the oldest ones beyond the bound, after a record that says so."""
        os.close(self._file)
        self._file = -1
        self._create_segment()
        paths = segments(self._folder)
        total = sum(path.stat().st_size for path in paths)
        # The newest segment with a record is never removed.
        for path in paths[:-2]:
            if total <= self._max_bytes - self._segment_bytes:
                break
            total -= path.stat().st_size
            last = _last_link(path)
            if last is not None:
                self._write([_removal(last).plain()])
            path.unlink()
        self._seen = self._listing()

    def _write(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        number, digest, lines = self._head.number, self._head.digest, []
        for body in bodies:
            number += 1
            line, digest = append_link(body, number, digest, self._checkpoint)
            lines.append(line)
        rest = memoryview(b"".join(lines))
        length = len(rest)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)
        self._head, self._size = ChainHead(number, digest), self._size + length
        self._save_head()

    def _save_head(self) -> None:
        """Save the head, by which a missing end is detected; an older one does no harm."""
        if not self._head.number:
            return
        for witness in self._heads:
            with suppress(OSError):
                witness.save(self._head)

    def _listing(self) -> dict[str, int]:
        with os.scandir(self._folder) as entries:
            return {entry.name: entry.inode() for entry in entries if entry.name.endswith(".jsonl")}


def _last_link(path: Path) -> ChainLink | None:
    for line in lines_backwards(path):
        with suppress(ChainBroken):
            return read_link(line)
    return None


def _removal(last: ChainLink) -> Record:
    """Return the record of a removed segment, with the number and digest of its last line."""
    return _own_record(
        AuditEvent(
            kind=EventKind.REMOVED,
            text=removal_text(last.number),
            detail={"number": last.number, "digest": last.digest},
            before=str(last.number),
            after=last.digest,
        )
    )


def _own_record(event: AuditEvent) -> Record:
    return Record(at_ns=time.time_ns(), source="", cause=RecordCause.AUDIT, events=(event,))
