"""The journal of the audit: JSON Lines in segments, bounded in size, flushed, and written by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sidecar.atomic_file import replace_file, sync_folder
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.hash_chain import START, ChainLink, append_link, read_link
from sidecar.audit.record import Record, RecordCause
from sidecar.audit.wording import removal_text
from sidecar.errors import ChainBroken, JournalInUse

_HEAD = "head"
_LOCK = "lock"
_SEGMENTS = 8
"""How many files the size bound is divided among: the oldest is removed as a whole."""


class Journal:
    """Appends records to the segments of a folder; opened by the first append, and again after each failure.

    `max_bytes` bounds all segments together. The oldest ones are removed to stay below, which a record says.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = max(1, max_bytes // _SEGMENTS)
        self._max_bytes = max_bytes
        self._lock = -1
        self._file = -1
        self._size = 0
        self._number = 0
        self._digest = START

    def append(self, records: Sequence[Record]) -> None:
        """Write records and flush them to disk, all or none. Raises OSError, JournalInUse among them."""
        try:
            if self._file < 0:
                self._open()
            if self._size >= self._segment_bytes:
                self._begin_segment()
            self._write([record.plain() for record in records])
        except OSError:
            if self._file >= 0:
                with suppress(OSError):
                    os.ftruncate(self._file, self._size)
            # What the disk has of it is unknown: the next append finds out and repairs it.
            self.close()
            raise

    def close(self) -> None:
        """Close the files and release the lock."""
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def _open(self) -> None:
        """Lock the folder, and cut off a line that a crash or a full disk has left unfinished."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalInUse(error.errno, f"another sidecar is writing to {self._folder}") from error
        with suppress(ChainBroken):
            self._number, self._digest = head(self._folder)
        paths = segments(self._folder)
        while paths:
            last, length = last_link(paths[-1])
            with paths[-1].open("r+b") as file:
                if length < file.seek(0, os.SEEK_END):
                    file.truncate(length)
                    os.fsync(file.fileno())
            if last is not None and last.number > self._number:
                self._number, self._digest = last.number, last.digest
            if length:
                self._continue(paths[-1])
                return
            # An empty segment: the one before is continued.
            paths.pop().unlink()
        self._begin_segment()

    def _continue(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def _begin_segment(self) -> None:
        """Start another segment, and remove the oldest ones beyond the bound, after a record that says so."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._continue(self._folder / f"{self._number + 1:012d}.jsonl")
        sync_folder(self._folder)
        paths = segments(self._folder)
        total = sum(path.stat().st_size for path in paths)
        # The newest segment with a record is never removed.
        for path in paths[:-2]:
            if total <= self._max_bytes - self._segment_bytes:
                break
            total -= path.stat().st_size
            last, _ = last_link(path)
            if last is not None:
                self._write([_removal(last).plain()])
            path.unlink()

    def _write(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        number, digest, lines = self._number, self._digest, []
        for body in bodies:
            number += 1
            line, digest = append_link(body, number, digest)
            lines.append(line)
        rest = memoryview(b"".join(lines))
        length = len(rest)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)
        self._number, self._digest, self._size = number, digest, self._size + length
        self._save_head()

    def _save_head(self) -> None:
        """Save the end of the chain, by which a missing end is detected; an older one does no harm."""
        end = json.dumps({"number": self._number, "hash": self._digest}).encode()
        with suppress(OSError):
            replace_file(self._folder, _HEAD, end, sync_rename=False)


def segments(folder: Path) -> list[Path]:
    """Return the segments of a journal, oldest first."""
    return sorted(folder.glob("[0-9]*.jsonl"))


def head(folder: Path) -> tuple[int, str]:
    """Return the saved number and digest of the last line, (0, START) if there are none. Raises ChainBroken."""
    try:
        found = json.loads((folder / _HEAD).read_bytes())
        return int(found["number"]), str(found["hash"])
    except FileNotFoundError:
        return 0, START
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
        raise ChainBroken(f"{folder / _HEAD} is not as it was written") from error


def last_link(path: Path) -> tuple[ChainLink | None, int]:
    """Return the last valid line of a segment, and the segment's length without an unfinished line."""
    text = path.read_bytes()
    length = end = text.rfind(b"\n") + 1
    while end:
        start = text.rfind(b"\n", 0, end - 1) + 1
        try:
            return read_link(text[start : end - 1]), length
        except ChainBroken:
            # It was changed; it stays, so that `history verify` finds it.
            end = start
    return None, length


def _removal(last: ChainLink) -> Record:
    """Return the record of a removed segment, with the number and digest of its last line."""
    removed = AuditEvent(
        kind=EventKind.REMOVED,
        text=removal_text(last.number),
        detail={"number": last.number, "digest": last.digest},
        before=str(last.number),
        after=last.digest,
    )
    return Record(at_ns=time.time_ns(), source="", cause=RecordCause.AUDIT, events=(removed,))
