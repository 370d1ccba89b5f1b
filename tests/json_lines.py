"""What the processes of a test write down: a file to which one appends lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class JsonLines(Generic[T]):
    """Reads such a file again and again, each line once: a test looks many times a second for minutes."""

    def __init__(self, path: Path, make: Callable[..., T]) -> None:
        """Take a file, which may come later, and what is made of the fields of a line."""
        self.path = path
        self._make = make
        self._read = 0
        self._lines: list[T] = []

    def all(self) -> list[T]:
        """Return what is written so far; half a line, which a killed process may leave, is not."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._lines += [self._make(**json.loads(line)) for line in whole.splitlines()]
        return list(self._lines)
