"""Atomic file replacement: after a crash there is the old content or the new, never part of one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from sidecar.background import BackgroundThread
from sidecar.state_file import make_state_folder, open_state_file

log = logging.getLogger(__name__)

T = TypeVar("T")


def replace_file(folder: Path, name: str, content: bytes, *, sync_rename: bool = True) -> None:
    """Replace a file of the state directory atomically: write a temporary file beside it, flush it, rename it.

    Folder and file are created for their owner alone; no link is followed. Without `sync_rename` the rename itself is
    not flushed, which saves one flush: a crash may then bring the old content back. Raises OSError, and leaves the old
    content in place.
    """
    make_state_folder(folder)
    temporary = folder / f".{name}.new"
    # Left behind by a kill, or put there by somebody: a new file is nobody else's.
    temporary.unlink(missing_ok=True)
    with os.fdopen(open_state_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / name)
    if sync_rename:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Flush to disk which files a folder has: those created, renamed and removed. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class SaveStatus:
    """The state of a saver: when it last saved (Unix nanoseconds, 0 for never), how often it failed.

    `failing` is true while the last attempt was a failure.
    """

    name: str
    saved_ns: int = 0
    failures: int = 0
    failing: bool = False


class Saver(BackgroundThread, Generic[T]):
    """Saves the latest value on a thread of its own: a slow or full disk holds up nothing else.

    A failure of `save` (OSError) is logged as `loss`, the warning that says what the operator loses by it; the next
    value is tried again. `stop` saves the value that is still waiting.
    """

    def __init__(self, name: str, save: Callable[[T], None], *, loss: str) -> None:
        super().__init__(name)
        self._save = save
        self._status = SaveStatus(name)
        self._loss = loss
        self._latest: T | None = None

    def put(self, value: T) -> None:
        """Schedule a value, in place of one that is still waiting; returns at once."""
        with self._work:
            self._latest = value
            self._work.notify()

    def status(self) -> SaveStatus:
        """Return the state of saving now."""
        return self._status

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._latest is not None or self._stopping.is_set())
                value, self._latest = self._latest, None
            if value is None:
                return
            try:
                self._save(value)
            except OSError as error:
                self._status = replace(self._status, failures=self._status.failures + 1, failing=True)
                log.warning("%s", self._loss, extra={"error": error.strerror, "file": error.filename})
            else:
                self._status = replace(self._status, saved_ns=time.time_ns(), failing=False)
