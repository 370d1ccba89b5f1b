"""Turns changes of the view into records, on a thread of its own."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sidecar.audit.event import EventKind
from sidecar.audit.journal_reader import newest_first
from sidecar.audit.record import Record, records
from sidecar.background import BackgroundThread
from sidecar.errors import DocumentRejected, Problem, SidecarError
from sidecar.gil import Yielder
from sidecar.lifecycle import RejectedDocument, SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.view import LoadedDocument, View

log = logging.getLogger(__name__)

# Each waiting view holds a whole document. When more come, those in between are merged into one change.
_MAX_WAITING = 64
# How many records are searched for the document that was in force when the sidecar ended.
_LOOK_BACK = 10_000
_PROBLEMS = frozenset({EventKind.REFUSED, EventKind.MISSING})
# What became of the newest text.
_OUTCOMES = _PROBLEMS | {EventKind.APPLIED, EventKind.ACCEPTED}

# States in which the source has said what its key holds.
_ANSWERS = frozenset({SourceState.SYNCED, SourceState.REJECTED, SourceState.MISSING})

RecordHandler = Callable[[Record], None]
AuthorLookup = Callable[[str], Mapping[str, str]]


class Recorder(BackgroundThread):
    """Calls the subscribed handlers with a record of each change of the view, in order.

    `journal` is the folder of earlier records: from there, a change that happened while no sidecar ran is recorded as
    one at the start. `author_of` looks up who wrote a version of the document; it may block for seconds. Changes that
    wait when it stops are still recorded.
    """

    def __init__(
        self,
        source: str,
        *,
        journal: Path | None = None,
        author_of: AuthorLookup | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__("audit")
        self._source = source
        self._handlers: list[RecordHandler] = []
        self._journal = journal
        self._author_of = author_of
        self._clock = clock
        self._waiting: deque[tuple[int, View, View] | Record] = deque()
        # The refusal or absence that was recorded last: a restart or reconnect finds it again, which is no change.
        self._problem = ""
        self._last_ns = 0
        self._checkpoint = Yielder()

    def subscribe(self, handler: RecordHandler) -> None:
        """Call `handler` with each record, on this thread; it must return at once. To be called before `start`."""
        self._handlers.append(handler)

    def changed(self, before: View, after: View) -> None:
        """Record a change of the view; a listener of the table."""
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
        """Add a record that a reaction made, behind those that wait."""
        with self._work:
            self._waiting.append(record)
            self._work.notify()

    def _run(self) -> None:
        last = refusal = None
        try:
            last, refusal = self._last_view()
        except (OSError, SidecarError) as error:
            log.warning("the document in force before this start is unknown to the audit: %s", error)
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._stopping.is_set())
                if not self._waiting:
                    return
                next_ = self._waiting.popleft()
            if isinstance(next_, Record):
                self._publish(next_)
                continue
            at_ns, before, after = next_
            if refusal is not None and not after.status.from_snapshot:
                # The source's first answer since the text was refused, before this start: it may be the all-clear.
                if after.status.state is SourceState.SYNCED:
                    before = replace(before, status=replace(before.status, refusal=refusal))
                if after.status.state in _ANSWERS:
                    refusal = None
            if last is not None and after.state is not None:
                if after.status.from_snapshot and after.text != last.text:
                    # The sidecar was killed before it saved the snapshot: the snapshot is older than what decided.
                    continue
                before, last = replace(last, status=before.status), None
            try:
                self._record(before, after, at_ns)
            except Exception:
                log.exception("a change could not be recorded in the audit")

    def _record(self, before: View, after: View, at_ns: int) -> None:
        for found in records(before, after, at_ns, self._source, checkpoint=self._checkpoint):
            problem = found.key if found.events[0].kind in _PROBLEMS else ""
            if problem and problem == self._problem:
                continue
            if problem or found.changed:
                self._problem = problem
            self._publish(self._with_author(found))

    def _publish(self, found: Record) -> None:
        # Times are unique and ascend, also when the clock steps back: consumers remember their position by them.
        record = replace(found, at_ns=max(found.at_ns, self._last_ns + 1))
        self._last_ns = record.at_ns
        for handler in self._handlers:
            handler(record)

    def _with_author(self, record: Record) -> Record:
        if self._author_of is None or not record.version:
            return record
        return replace(record, origin=self._author_of(record.version))

    def _last_view(self) -> tuple[View | None, RejectedDocument | None]:
        """Return the view that decided at the last record, None if no record has it; and the text refused since."""
        at_ns, refusal, settled = 0, None, False
        for record in self._earlier():
            if not settled and (outcome := {event.kind for event in record.events} & _OUTCOMES):
                settled, refusal = True, _refusal_of(record) if EventKind.REFUSED in outcome else None
            if not at_ns:
                at_ns = self._last_ns = record.at_ns
                self._problem = record.key if record.events[0].kind in _PROBLEMS else ""
            if record.text and record.events[0].kind is EventKind.APPLIED:
                text = record.text.encode()
                try:
                    document = parse_document(text, max_bytes=len(text) + 1, checkpoint=self._checkpoint)
                except DocumentRejected:
                    # Written by a version with other rules.
                    return None, refusal
                status = SourceStatus(state=SourceState.SYNCED)
                view = View(State(document, generation=0, now_ns=at_ns), status, LoadedDocument(text, document))
                return view, refusal
        return None, refusal

    def _earlier(self) -> Iterator[Record]:
        if self._journal is None:
            return
        for number, record in enumerate(newest_first(self._journal, self._checkpoint)):
            if number == _LOOK_BACK:
                return
            if record.source == self._source:
                yield record


def _refusal_of(record: Record) -> RejectedDocument:
    """Return the refusal that a record is about."""
    error = DocumentRejected((Problem("", record.events[0].text),))
    return RejectedDocument(record.changed, error, record.at_ns, record.text.encode())
