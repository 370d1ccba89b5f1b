"""The audit of a running sidecar, put together: what the table tells becomes records, which go where they belong."""

from __future__ import annotations

import time
from pathlib import Path

from sidecar.audit.backlog import JournalWriter
from sidecar.audit.chronicle import Chronicle, Take
from sidecar.audit.journal import Journal
from sidecar.audit.reading import FOLDER
from sidecar.table import View


class Audit:
    """Tells what the table puts in force to `takers`, and keeps it in the state directory, until it is stopped."""

    def __init__(self, source: str, *, state_dir: Path | None, max_bytes: int, takers: tuple[Take, ...] = ()) -> None:
        folder = state_dir / FOLDER if state_dir is not None else None
        self._writer = JournalWriter(Journal(folder, max_bytes=max_bytes)) if folder is not None else None
        if self._writer is not None:
            takers = (*takers, self._writer.take)
        self._chronicle = Chronicle(source, takers, journal=folder)

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        self._chronicle.changed(before, after)

    def start(self) -> None:
        """Begin."""
        if self._writer is not None:
            self._writer.start()
        self._chronicle.start()

    def stop(self, timeout: float) -> None:
        """Write what is waiting, within `timeout` seconds, and end."""
        deadline = time.monotonic() + timeout
        self._chronicle.stop(timeout / 2)
        if self._writer is not None:
            self._writer.stop(max(0.0, deadline - time.monotonic()))
