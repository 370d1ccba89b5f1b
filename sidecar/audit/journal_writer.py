"""Writes records to the journal on a thread of its own: a slow or full disk blocks nothing and loses little."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal import Journal
from sidecar.audit.record import Record, RecordCause
from sidecar.audit.wording import loss_text
from sidecar.background import BackgroundThread
from sidecar.counters import TaskStatus

log = logging.getLogger(__name__)

# How much waits in memory for an unwritable disk: records, and the characters of documents in them.
_MAX_RECORDS = 10_000
_MAX_CHARACTERS = 32 * 1024 * 1024
_RETRY_S = 2.0
# The size of one write: the journal may exceed its bound by this much, or by one record.
_BATCH_RECORDS = 16
_BATCH_CHARACTERS = 256 * 1024


class JournalWriter(BackgroundThread):
    """Appends records to a journal in order, and retries every `retry_s` seconds while that fails.

    Beyond the bounds the oldest waiting records are dropped, and a record in their place says how many. `written` is
    called with records once they are on disk. `stop` writes those that wait.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        written: Callable[[Sequence[Record]], None] = lambda _: None,
        max_records: int = _MAX_RECORDS,
        max_characters: int = _MAX_CHARACTERS,
        retry_s: float = _RETRY_S,
    ) -> None:
        super().__init__("audit-disk")
        self._journal = journal
        self._written = written
        self._max_records = max_records
        self._max_characters = max_characters
        self._retry_s = retry_s
        self._waiting: deque[Record] = deque()
        self._characters = 0
        self._lost = 0
        # For the status, since the start.
        self._done = self._dropped = 0
        self._error = ""

    def enqueue(self, record: Record) -> None:
        """Enqueue a record; returns at once."""
        with self._work:
            self._waiting.append(record)
            self._characters += len(record.text)
            self._drop_excess()
            self._work.notify()

    def status(self) -> TaskStatus:
        """Return the writer's status."""
        return TaskStatus("audit", len(self._waiting), self._done, 0, self._dropped, self._error)

    def _drop_excess(self) -> None:
        while len(self._waiting) > 1 and (
            len(self._waiting) > self._max_records or self._characters > self._max_characters
        ):
            self._characters -= len(self._waiting.popleft().text)
            self._lost += 1
            self._dropped += 1

    @property
    def breaks(self) -> int:
        """How often records were found missing or changed."""
        return self._journal.breaks

    def _run(self) -> None:
        # A chain that is broken is reported at the start. What else is wrong, the first record shows.
        with suppress(OSError):
            self._journal.open()
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._stopping.is_set())
                batch, lost = self._next_batch(), self._lost
                self._lost = 0
            if not batch:
                break
            try:
                self._journal.append([*_loss(lost, batch[0]), *batch])
            except OSError as error:
                self._put_back(batch, lost)
                if self._failed(error):
                    break
                continue
            if self._error:
                log.info("the audit can be written again")
                self._error = ""
            self._done += len(batch)
            self._written(batch)
        self._journal.close()

    def _next_batch(self) -> list[Record]:
        """Take the oldest waiting records, no more than fit well into a segment."""
        batch: list[Record] = []
        characters = 0
        while self._waiting and len(batch) < _BATCH_RECORDS and characters < _BATCH_CHARACTERS:
            batch.append(self._waiting.popleft())
            characters += len(batch[-1].text)
        self._characters -= characters
        return batch

    def _put_back(self, batch: list[Record], lost: int) -> None:
        with self._work:
            self._waiting.extendleft(reversed(batch))
            self._characters += sum(len(record.text) for record in batch)
            self._lost += lost
            self._drop_excess()

    def _failed(self, error: OSError) -> bool:
        """Log a first failure, and wait for the next attempt; return True if the sidecar stops before."""
        if not self._error:
            log.warning("the audit cannot be written; records are kept in memory: %s", error.strerror or error)
        self._error = error.strerror or str(error)
        if self._stopping.wait(self._retry_s):
            log.error("the last %d records of the audit are lost: %s", len(self._waiting), error.strerror or error)
            return True
        return False


def _loss(count: int, first: Record) -> Sequence[Record]:
    """Return a record of how many were dropped before the first that is kept, if any were."""
    if not count:
        return ()
    lost = AuditEvent(kind=EventKind.LOST, text=loss_text(count), detail={"count": count})
    return (Record(at_ns=time.time_ns(), source=first.source, cause=RecordCause.AUDIT, events=(lost,)),)
