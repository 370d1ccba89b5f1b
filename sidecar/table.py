"""What is in force: one reference to a frozen view, swapped whole by one thread, read by all without a lock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sidecar.errors import DocumentRefused
from sidecar.lifecycle import Event, Refusal, SourceState, SourceStatus, next_state
from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.model import RoutingDocument
from sidecar.routing.state import State
from sidecar.sources.base import Content, Missing, Report, Unreachable

# How long a jump of the wall clock can go unseen, and so how late at most a drill or a ramp step is after one.
_CLOCK_CHECK_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """All that is in force at one moment: what decides (None while there is no document), its text, its source."""

    state: State | None
    text: bytes
    status: SourceStatus


Listener = Callable[[View, View], None]
Parse = Callable[[bytes], RoutingDocument]


class RoutingTable:
    """Holds the view, and turns what the source reports and what the clock brings into the next one.

    `view` may be read from any thread at any time. `deliver` takes a source's report; the table's own thread, between
    `start` and `stop`, parses it and swaps the view. Listeners are called on that thread with the view before and
    after, in the order in which they were added; what one raises is logged and reaches nobody.
    """

    def __init__(self, *, parse: Parse = parse_document, clock: Callable[[], int] = time.time_ns) -> None:
        self.view = View(state=None, text=b"", status=SourceStatus(since_ns=clock()))
        self._parse = parse
        self._clock = clock
        self._pending: list[Report] = []
        self._unhealthy: Mapping[str, str] = {}
        self._stopping = False
        self._work = threading.Condition()
        self._changed = threading.Condition()
        self._listeners: list[Listener] = []
        self._thread = threading.Thread(target=self._run, name="table", daemon=True)

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change, on the table's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin to take reports and follow the clock."""
        self._thread.start()

    def stop(self) -> None:
        """End the table's thread and wake everybody who waits for a change. The last view stays."""
        with self._work:
            self._stopping = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join()
        with self._changed:
            self._changed.notify_all()

    def deliver(self, report: Report) -> None:
        """Take a report of the source; returns at once. A newer text replaces one that is still waiting."""
        with self._work:
            if not isinstance(report, Unreachable):
                self._pending.clear()
            elif self._pending and isinstance(self._pending[-1], Unreachable):
                self._pending.pop()
            self._pending.append(report)
            self._work.notify()

    def wait(self, seen: State | None, timeout: float) -> View:
        """Return the view as soon as its state is another than `seen`, else after `timeout` seconds or `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self.view.state is not seen or self._stopping, timeout)
        return self.view

    def restore(self, text: bytes, document: RoutingDocument, applied_at_ns: int) -> None:
        """Put a snapshot's document in force, before `start`; it counts as stale until the source confirms it."""
        now = self._clock()
        status = SourceStatus(
            state=SourceState.DISCONNECTED,
            error="not read yet; serving the snapshot",
            since_ns=now,
            applied_at_ns=applied_at_ns,
            from_snapshot=True,
        )
        self._swap(View(state=State(document, generation=1, now_ns=now, stale=True), text=text, status=status))

    def _run(self) -> None:
        while True:
            with self._work:
                if not self._pending and not self._stopping:
                    self._work.wait(self._nap())
                if self._stopping:
                    return
                reports, self._pending = self._pending, []
            try:
                for report in reports:
                    self._swap(self._after(report))
                self._swap(self._at(self.view))
            except Exception:
                log.exception("the routing table failed to take a change; the one before stays in force")

    def _nap(self) -> float:
        state = self.view.state
        if state is None or state.until_ns is None:
            return _CLOCK_CHECK_S
        return min(_CLOCK_CHECK_S, max(0.0, (state.until_ns - self._clock()) / 1e9))

    def _swap(self, view: View) -> None:
        before = self.view
        if view.state is before.state and view.status == before.status:
            return
        self.view = view
        if view.state is not before.state:
            with self._changed:
                self._changed.notify_all()
        for listener in self._listeners:
            try:
                listener(before, view)
            except Exception:
                log.exception("a listener failed; the change stands")

    def _at(self, view: View) -> View:
        """Return the view as the clock has it now: another State where this one does not hold any more."""
        now = self._clock()
        state = view.state
        if state is None or state.holds(now):
            return view
        return replace(view, state=replace(state, generation=state.generation + 1, now_ns=now))

    def _after(self, report: Report) -> View:
        """Return the view that a report leads to."""
        view = self.view
        match report:
            case Unreachable(reason):
                return self._known(view, Event.LOST, error=reason)
            case Missing(reason):
                status = replace(view.status, refusal=None)
                return self._known(replace(view, status=status), Event.ABSENT, error=reason)
            case Content(text, version):
                return self._read(replace(view, status=replace(view.status, version=version)), text)

    def _read(self, view: View, text: bytes) -> View:
        now = self._clock()
        refusal = view.status.refusal
        if refusal is not None and refusal.text == text:
            return self._known(view, Event.REFUSED, error=refusal.error.summary)
        status = replace(view.status, refusal=None, from_snapshot=False, confirmed_at_ns=now)
        if view.state is not None and view.text == text:
            return self._known(replace(view, status=status), Event.ACCEPTED)
        try:
            document = self._parse(text)
        except DocumentRefused as error:
            refusal = Refusal(revision=revision_of(text), error=error, at_ns=now, text=text)
            status = replace(view.status, refusal=refusal)
            return self._known(replace(view, status=status), Event.REFUSED, error=error.summary)
        state = State(
            document,
            generation=view.state.generation + 1 if view.state else 1,
            now_ns=self._clock(),
            unhealthy=self._unhealthy,
        )
        status = replace(status, applied_at_ns=now)
        return self._known(View(state=state, text=text, status=status), Event.ACCEPTED)

    def _known(self, view: View, event: Event, *, error: str = "") -> View:
        """Return the view after an event: the source's next state, and decisions that say whether they are stale."""
        state = next_state(view.status.state, event)
        since = view.status.since_ns if state is view.status.state else self._clock()
        status = replace(view.status, state=state, error=error, since_ns=since)
        decides = view.state
        if decides is not None and decides.stale is not status.stale:
            decides = replace(decides, generation=decides.generation + 1, stale=status.stale)
        return replace(view, state=decides, status=status)
