"""The segments of a journal: files of JSON Lines, named by the number of their first record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sidecar.state_file import open_state_file

_SUFFIX = ".jsonl"
_BLOCK = 256 * 1024


def segments(folder: Path) -> list[Path]:
    """Return the segments of a journal, oldest first."""
    return sorted(folder.glob(f"[0-9]*{_SUFFIX}"), key=first_number)


def segment_path(folder: Path, first: int) -> Path:
    """Return the path of the segment whose first record has this number."""
    return folder / f"{first:012d}{_SUFFIX}"


def first_number(path: Path) -> int:
    """Return the number of a segment's first record, by its name; 0 for a name that we did not give."""
    return int(path.stem) if path.stem.isdecimal() else 0


def lines_backwards(path: Path) -> Iterator[bytes]:
    """Yield the complete lines of a segment, last first, with few of them in memory. Raises OSError.

    The last line is left out if it is unfinished: it may still be being written.
    """
    try:
        descriptor = open_state_file(path)
    except FileNotFoundError:
        # Removed to make room after it was listed.
        return
    with os.fdopen(descriptor, "rb") as file:
        position = file.seek(0, os.SEEK_END)
        begun = b""
        # What follows the last line break.
        unfinished = True
        while position:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            begun, *lines = (file.read(size) + begun).split(b"\n")
            for line in reversed(lines):
                if not unfinished:
                    yield line
                unfinished = False
        if not unfinished:
            yield begun


def lines_forwards(path: Path) -> Iterator[bytes]:
    """Yield the complete lines of a segment, first first, without their line breaks. Raises OSError."""
    try:
        descriptor = open_state_file(path)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def complete_length(descriptor: int) -> int:
    """Return the length of a segment without its unfinished line. Raises OSError."""
    position = os.fstat(descriptor).st_size
    while position:
        size = min(_BLOCK, position)
        position -= size
        found = os.pread(descriptor, size, position).rfind(b"\n")
        if found >= 0:
            return position + found + 1
    return 0
