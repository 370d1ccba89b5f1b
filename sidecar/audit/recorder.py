"""Turns what the table puts in force into records, on a thread of its own, and hands them on."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sidecar.audit.journal_reader import newest_first
from sidecar.audit.record import Record, records
from sidecar.background import BackgroundThread
from sidecar.errors import DocumentRejected, SidecarError
from sidecar.gil import Yielder
from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.table import View

log = logging.getLogger(__name__)

# Views hold whole documents, so only so many wait; where more come, those in between are one change.
_MAX_WAITING = 64
# How many records are looked through for the document that was in force when the sidecar ended.
_LOOK_BACK = 10_000
_TROUBLE = frozenset({"refused", "missing"})

RecordHandler = Callable[[Record], None]
AuthorLookup = Callable[[str], Mapping[str, str]]


class Recorder(BackgroundThread):
    """Tells `takers` each change of the view as a record, in order; they return at once.

    `journal` is the folder of earlier records: what changed while no sidecar ran is told as a change from there.
    `origin` asks the config center who wrote the text of a version; it may take its time.
    What waits when it stops is told.
    """

    def __init__(
        self,
        source: str,
        takers: tuple[RecordHandler, ...],
        *,
        journal: Path | None = None,
        origin: AuthorLookup | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__("audit")
        self._source = source
        self._takers = takers
        self._journal = journal
        self._origin = origin
        self._clock = clock
        self._waiting: deque[tuple[int, View, View] | Record] = deque()
        # The refusal or absence that was told last, which a restart or a lost connection only finds again.
        self._trouble = ""
        self._told_ns = 0
        self._checkpoint = Yielder()

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view; to be subscribed to the table."""
        was, now = before.status, after.status
        if after.state is before.state and was.state is now.state and was.refusal is now.refusal:
            return
        with self._work:
            last = self._waiting[-1] if len(self._waiting) >= _MAX_WAITING else None
            if isinstance(last, tuple):
                _, before, _ = last
                self._waiting.pop()
            self._waiting.append((self._clock(), before, after))
            self._work.notify()

    def report(self, record: Record) -> None:
        """Tell a record that a reaction made, in its turn."""
        with self._work:
            self._waiting.append(record)
            self._work.notify()

    def _run(self) -> None:
        last = None
        try:
            last = self._last_view()
        except (OSError, SidecarError) as error:
            log.warning("the audit cannot tell what was in force before this start: %s", error)
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._stopping.is_set())
                if not self._waiting:
                    return
                next_ = self._waiting.popleft()
            if isinstance(next_, Record):
                self._hand_on(next_)
                continue
            at_ns, before, after = next_
            if last is not None and after.state is not None:
                if after.status.from_snapshot and after.text != last.text:
                    # A kill came before the snapshot was saved: it is older than what decided, and soon gone.
                    continue
                before, last = replace(last, status=before.status), None
            try:
                self._tell(before, after, at_ns)
            except Exception:
                log.exception("a change could not be put into the audit")

    def _tell(self, before: View, after: View, at_ns: int) -> None:
        for found in records(before, after, at_ns, self._source, checkpoint=self._checkpoint):
            trouble = found.key if found.events[0].kind in _TROUBLE else ""
            if trouble and trouble == self._trouble:
                continue
            if trouble or found.changed:
                self._trouble = trouble
            self._hand_on(self._written_by(found))

    def _hand_on(self, found: Record) -> None:
        # No two have the same time, also where the clock went back: it tells what is done from what is not.
        record = replace(found, at_ns=max(found.at_ns, self._told_ns + 1))
        self._told_ns = record.at_ns
        for take in self._takers:
            take(record)

    def _written_by(self, record: Record) -> Record:
        if self._origin is None or not record.version:
            return record
        return replace(record, origin=self._origin(record.version))

    def _last_view(self) -> View | None:
        """Return what decided when the sidecar wrote its last record, None where none tells."""
        at_ns = 0
        for record in self._earlier():
            if not at_ns:
                at_ns = self._told_ns = record.at_ns
                self._trouble = record.key if record.events[0].kind in _TROUBLE else ""
            if record.text and record.events[0].kind == "applied":
                text = record.text.encode()
                try:
                    document = parse_document(text, max_bytes=len(text) + 1, checkpoint=self._checkpoint)
                except DocumentRejected:
                    # Written by a version with other rules.
                    return None
                status = SourceStatus(state=SourceState.SYNCED)
                return View(State(document, generation=0, now_ns=at_ns), text=text, source_text=text, status=status)
        return None

    def _earlier(self) -> Iterator[Record]:
        if self._journal is None:
            return
        for number, record in enumerate(newest_first(self._journal, self._checkpoint)):
            if number == _LOOK_BACK:
                return
            if record.source == self._source:
                yield record
