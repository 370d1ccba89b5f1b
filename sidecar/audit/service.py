"""The audit of a running sidecar, put together: what the table tells becomes records, which go where they belong."""

from __future__ import annotations

import math
import re
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.atomic_file import replace_file
from sidecar.audit.consumer import ConsumerTask, RecordConsumer
from sidecar.audit.journal import Journal
from sidecar.audit.journal_reader import FOLDER
from sidecar.audit.journal_writer import JournalWriter
from sidecar.audit.record import Record, RecordCause
from sidecar.audit.recorder import AuthorLookup, Recorder, RecordHandler
from sidecar.config import Settings
from sidecar.counters import TaskStatus
from sidecar.errors import ConfigError
from sidecar.table import View

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

_NAME = "sidecar"
# How many records wait in memory for the shared database; further ones wait in the journal.
_MAX_WAITING = 100


class AuditService:
    """Tells what the table puts in force to `takers`, and keeps it, until it is stopped.

    It is kept in the journal of the state directory, and from there, where there is one, in the database of a fleet.
    """

    def __init__(
        self,
        source: str,
        *,
        state_dir: Path | None,
        max_bytes: int,
        takers: tuple[RecordHandler, ...] = (),
        shared: AuditDatabase | None = None,
        origin: AuthorLookup | None = None,
    ) -> None:
        folder = state_dir / FOLDER if state_dir is not None else None
        self._writer = JournalWriter(Journal(folder, max_bytes=max_bytes)) if folder is not None else None
        if self._writer is not None:
            takers = (*takers, self._writer.take)
        self._shipper = None
        if shared is not None:
            task = ConsumerTask(
                name="shared audit",
                act=shared.add,
                wanted=lambda record: record.cause is not RecordCause.AUDIT,
                retry_for=math.inf,
                from_start=True,
            )
            self._shipper = RecordConsumer(
                task, source=source, state_dir=state_dir, journal=folder, max_waiting=_MAX_WAITING
            )
            takers = (*takers, self._shipper.take)
        self._recorder = Recorder(source, takers, journal=folder, origin=origin)

    @property
    def tasks(self) -> tuple[Callable[[], TaskStatus], ...]:
        """What tells how the journal and the shared database stand."""
        return tuple(part.standing for part in (self._writer, self._shipper) if part is not None)

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        self._recorder.changed(before, after)

    def report(self, record: Record) -> None:
        """Keep a record of what a reaction did."""
        self._recorder.report(record)

    def start(self) -> None:
        """Begin."""
        for part in (self._writer, self._shipper, self._recorder):
            if part is not None:
                part.start()

    def stop(self, timeout: float) -> None:
        """Write what is waiting, within `timeout` seconds, and end."""
        deadline = time.monotonic() + timeout
        self._recorder.stop(timeout / 2)
        for part in (self._writer, self._shipper):
            if part is not None:
                part.stop(max(0.0, deadline - time.monotonic()))


def open_configured(settings: Settings) -> AuditDatabase:
    """Return the database that `audit-db` names, not connected yet, under our own name. Raises ConfigError."""
    url, state_dir = database_url(settings), settings.state_dir
    if state_dir is None:
        raise ConfigError("audit-db: expected state-dir beside it, where changes wait while the database is away")
    return open_database(url, sidecar=_own_name(state_dir))


def open_database(url: str, *, sidecar: str) -> AuditDatabase:
    """Return the database at a URL, not connected yet. Raises ConfigError."""
    try:
        from sidecar.audit.database import AuditDatabase  # noqa: PLC0415 - 20 MiB, only where it is asked for
    except ModuleNotFoundError as error:
        raise ConfigError(f"audit-db needs the package {error.name!r}: pip install 'dc-sidecar[audit-db]'") from error
    return AuditDatabase(url, sidecar=sidecar)


def database_url(settings: Settings) -> str:
    """Return what `audit-db`, or the file that `audit-db-file` names, says; "" for neither. Raises ConfigError."""
    if settings.audit_db_file is None:
        if re.search(r"://[^/@]*:[^/@]+@", settings.audit_db or ""):
            raise ConfigError("audit-db: found a password in the URL: put the URL into a file, for audit-db-file")
        return settings.audit_db or ""
    if settings.audit_db:
        raise ConfigError("audit-db: found audit-db-file too, expected one of them")
    try:
        return settings.audit_db_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"audit-db-file: {settings.audit_db_file} cannot be read: {error}") from error


def _own_name(state_dir: Path) -> str:
    """Return a name that no other sidecar has, and that this one keeps as long as its state directory."""
    try:
        return (state_dir / _NAME).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        name = f"{socket.gethostname()[:60]}-{secrets.token_hex(4)}"
    except OSError as error:
        raise ConfigError(f"audit-db: {state_dir / _NAME} cannot be read: {error.strerror}") from error
    try:
        replace_file(state_dir, _NAME, name.encode())
    except OSError as error:
        raise ConfigError(f"audit-db: {state_dir} cannot be written: {error.strerror}") from error
    return name
