"""The audit of a running sidecar, put together: what the table tells becomes records, and these go to the disk."""

from __future__ import annotations

import time

from sidecar.audit.backlog import JournalWriter
from sidecar.audit.chronicle import Chronicle
from sidecar.audit.journal import Journal
from sidecar.audit.reading import FOLDER
from sidecar.config import Settings
from sidecar.table import View


class Audit:
    """Keeps the record of what the table puts in force, in the state directory, until it is stopped."""

    def __init__(self, source: str, settings: Settings) -> None:
        assert settings.state_dir is not None
        folder = settings.state_dir / FOLDER
        self._writer = JournalWriter(Journal(folder, max_bytes=settings.audit_size))
        self._chronicle = Chronicle(source, (self._writer.take,), journal=folder)

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        self._chronicle.changed(before, after)

    def start(self) -> None:
        """Begin."""
        self._writer.start()
        self._chronicle.start()

    def stop(self, timeout: float) -> None:
        """Write what is waiting, within `timeout` seconds, and end."""
        deadline = time.monotonic() + timeout
        self._chronicle.stop(timeout / 2)
        self._writer.stop(max(0.0, deadline - time.monotonic()))
