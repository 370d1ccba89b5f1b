"""The audit of a running sidecar: turns changes of the view into records, and delivers them to where they are kept."""

from __future__ import annotations

import math
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.atomic_file import replace_file
from sidecar.audit.anchor import Anchor
from sidecar.audit.anchor_keys import signing_key
from sidecar.audit.anchor_signer import AnchorSigner
from sidecar.audit.chain_head import HeadWitness, state_witness
from sidecar.audit.consumer import ConsumerTask, RecordConsumer
from sidecar.audit.journal import Journal
from sidecar.audit.journal_reader import FOLDER
from sidecar.audit.journal_writer import JournalWriter
from sidecar.audit.record import Record, RecordCause
from sidecar.audit.recorder import AuthorLookup, Recorder, RecordHandler
from sidecar.config import Settings
from sidecar.config.masking import has_password
from sidecar.counters import TaskStatus
from sidecar.errors import ConfigError, SecretUnreadable
from sidecar.gil import Yielder
from sidecar.secret_file import read_secret
from sidecar.state_file import read_state_file
from sidecar.view import View

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

_NAME = "sidecar"
_MAX_NAME = 1024
# How many records wait in memory for the shared database; further ones wait in the journal.
_MAX_WAITING = 100


class AuditService:
    """Records each change of the view, and calls the subscribed handlers with each record.

    With a `state_dir` the records are kept in the journal there, and from the journal they are copied to `database`,
    the audit that a fleet shares. `author_of` looks up who wrote a version of the document. With an `anchor_key`
    (a private key's file) the journal's head is signed at each change. Raises ConfigError for an unusable key.
    """

    def __init__(
        self,
        source: str,
        *,
        state_dir: Path | None,
        max_bytes: int,
        database: AuditDatabase | None = None,
        author_of: AuthorLookup | None = None,
        anchor_key: Path | None = None,
    ) -> None:
        folder = state_dir / FOLDER if state_dir is not None else None
        self._recorder = Recorder(source, journal=folder, author_of=author_of)
        self._anchors: AnchorSigner | None = None
        if anchor_key is not None and folder is not None:
            self._anchors = AnchorSigner(signing_key(anchor_key), source=source, journal=folder)
        self._writer = _open_writer(state_dir, max_bytes, self._anchors) if state_dir is not None else None
        self._copier: RecordConsumer | None = None
        if database is not None:
            task = ConsumerTask(
                name="shared audit",
                act=lambda record: database.add(record, self.anchor_of(record)),
                wanted=lambda record: record.cause is not RecordCause.AUDIT,
                retry_for=math.inf,
                from_start=True,
            )
            self._copier = RecordConsumer(
                task, source=source, state_dir=state_dir, journal=folder, max_waiting=_MAX_WAITING
            )
        for part in (self._writer, self._copier):
            if part is not None:
                self._recorder.subscribe(part.enqueue)

    @property
    def tasks(self) -> tuple[Callable[[], TaskStatus], ...]:
        """Return the status of the journal and of the copy to the shared database, as far as there are such."""
        return tuple(part.status for part in (self._writer, self._copier) if part is not None)

    @property
    def breaks(self) -> int:
        """How often records of the journal were found missing or changed, since the start."""
        return self._writer.breaks if self._writer is not None else 0

    def subscribe(self, handler: RecordHandler) -> None:
        """Call `handler` with each record, in order, on the audit's thread; it must return at once. Before `start`."""
        self._recorder.subscribe(handler)

    def changed(self, before: View, after: View) -> None:
        """Record a change of the view; a listener of the table."""
        self._recorder.changed(before, after)

    def report(self, record: Record) -> None:
        """Add a record that a reaction made."""
        self._recorder.report(record)

    def anchor_of(self, record: Record) -> Anchor | None:
        """Return an anchor that covers a record, None without a key, or while the disk does not write.

        Not for threads that must not wait: it may take two seconds.
        """
        return self._anchors.covering(record) if self._anchors is not None else None

    def start(self) -> None:
        """Start the threads."""
        for part in (self._writer, self._copier, self._recorder):
            if part is not None:
                part.start()

    def stop(self, timeout: float) -> None:
        """Write the records that wait, and stop, within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        # First: the others must still get its last records.
        self._recorder.stop(timeout / 2)
        for part in (self._writer, self._copier):
            if part is not None:
                part.stop(max(0.0, deadline - time.monotonic()))


def _open_writer(state_dir: Path, max_bytes: int, anchors: AnchorSigner | None) -> JournalWriter:
    witnesses: list[HeadWitness] = [state_witness(state_dir)]
    if anchors is not None:
        witnesses.append(anchors)
    journal = Journal(state_dir / FOLDER, max_bytes=max_bytes, witnesses=witnesses, checkpoint=Yielder())
    return JournalWriter(journal) if anchors is None else JournalWriter(journal, written=anchors.written)


def open_configured(settings: Settings) -> AuditDatabase:
    """Return the database of `audit-db`, under a name that is this sidecar's own; not connected. Raises ConfigError."""
    url, state_dir = database_url(settings), settings.state_dir
    if state_dir is None:
        raise ConfigError("audit-db: expected state-dir beside it, where changes wait while the database is away")
    return open_database(url, sidecar=_own_name(state_dir))


def open_database(url: str, *, sidecar: str) -> AuditDatabase:
    """Return the database at a URL, not connected. Raises ConfigError."""
    try:
        from sidecar.audit.database import AuditDatabase  # noqa: PLC0415 - 20 MiB, only where it is configured
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"audit-db needs the package {error.name!r}: pip install '.[audit-db]' in a checkout"
        ) from error
    return AuditDatabase(url, sidecar=sidecar)


def database_url(settings: Settings) -> str:
    """Return the URL in `audit-db` or in the file of `audit-db-file`, "" for neither. Raises ConfigError."""
    if settings.audit_db_file is None:
        if has_password(settings.audit_db or ""):
            raise ConfigError("audit-db: found a password in the URL: put the URL into a file, for audit-db-file")
        return settings.audit_db or ""
    if settings.audit_db:
        raise ConfigError("audit-db: found audit-db-file too, expected one of them")
    try:
        return read_secret(settings.audit_db_file).strip()
    except SecretUnreadable as error:
        raise ConfigError(f"audit-db-file: {settings.audit_db_file} {error}") from error


def saved_name(state_dir: Path) -> str | None:
    """Return the name that the sidecar with this state directory has in the shared audit. Raises ConfigError."""
    try:
        return read_state_file(state_dir / _NAME, max_bytes=_MAX_NAME).decode().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"audit-db: {state_dir / _NAME} cannot be read: {reason}") from error


def _own_name(state_dir: Path) -> str:
    """Return this sidecar's name: unique, chosen once, kept in the state directory. Raises ConfigError."""
    name = saved_name(state_dir)
    if name is not None:
        return name
    name = f"{socket.gethostname()[:60]}-{secrets.token_hex(4)}"
    try:
        replace_file(state_dir, _NAME, name.encode())
    except OSError as error:
        raise ConfigError(f"audit-db: {state_dir} cannot be written: {error.strerror}") from error
    return name
