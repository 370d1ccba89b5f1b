"""Files that are whole or the old ones, whatever happens while they are written."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from sidecar.background import BackgroundThread

log = logging.getLogger(__name__)

T = TypeVar("T")


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of a folder, made if need be: written beside, flushed to the disk, renamed. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = folder / f".{name}.new"
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / name)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@dataclass(frozen=True, slots=True)
class SaveStatus:
    """How a saver stands: when it last saved (Unix nanoseconds, 0 for never), how often it could not, and if so now."""

    name: str
    saved_ns: int = 0
    failures: int = 0
    failing: bool = False


class Saver(BackgroundThread, Generic[T]):
    """Saves the newest of what it is given, on a thread of its own: a slow or full disk holds up nothing else.

    What `save` cannot write (OSError) is a warning that says what is lost by it, `loss`; the next value is tried again.
    What waits when it stops is saved.
    """

    def __init__(self, name: str, save: Callable[[T], None], *, loss: str) -> None:
        super().__init__(name)
        self._save = save
        self._standing = SaveStatus(name)
        self._loss = loss
        self._newest: T | None = None

    def put(self, value: T) -> None:
        """Have a value saved, in place of one that is still waiting; returns at once."""
        with self._work:
            self._newest = value
            self._work.notify()

    def standing(self) -> SaveStatus:
        """Return how it stands now."""
        return self._standing

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._newest is not None or self._stopping.is_set())
                value, self._newest = self._newest, None
            if value is None:
                return
            try:
                self._save(value)
            except OSError as error:
                self._standing = replace(self._standing, failures=self._standing.failures + 1, failing=True)
                log.warning("%s", self._loss, extra={"error": error.strerror, "file": error.filename})
            else:
                self._standing = replace(self._standing, saved_ns=time.time_ns(), failing=False)
