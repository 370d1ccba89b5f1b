"""What is in force: one reference to a frozen view, swapped whole by one thread, read by all without a lock."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import RejectedDocument, SourceEvent, SourceState, SourceStatus, next_state
from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.failover import FailoverStates, Observation, Phase, advance, apply
from sidecar.routing.model import RoutingDocument
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State
from sidecar.sources.base import Content, Missing, Report, Unreachable

# How long a jump of the wall clock can go unseen, and so how late at most a drill or a ramp step is after one.
_CLOCK_CHECK_S = 1.0
# How long what decisions show can go unseen, where routes fail over with patience, and how much of it is kept. Once it
# has made a State, the next is made so much later: jobs of one application that see different workers make no storm.
_SEEN_CHECK_S = 0.1
_SEEN_PAUSE_S = 1.0
_MOST_SEEN = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Override:
    """The local document of `--override`: since `since_ns` its `text` decides, not the source's, unless that is empty.

    `error` says why the newest text of the file does not decide.
    """

    url: str
    text: bytes = b""
    since_ns: int = 0
    error: str = ""

    @property
    def words(self) -> str:
        """What an operator must know of it, in one line."""
        decides = f"OVERRIDDEN by {self.url} since {format_time(self.since_ns)}: remove the file to end it"
        return "; ".join(part for part in (decides if self.text else "", self.error) if part)


@dataclass(frozen=True, slots=True)
class View:
    """All that is in force at one moment: what decides (None while there is no document), its text, its source.

    `source_text` is the last good text of the source; `text` is another one only while an override decides. `overdue`
    tells that the source has been out of reach for longer than `--max-stale`. `health` says what operators must know of
    the health checks, "" if nothing.
    """

    state: State | None
    text: bytes
    status: SourceStatus
    source_text: bytes = b""
    override: Override | None = None
    overdue: bool = False
    health: str = ""

    @property
    def overridden(self) -> bool:
        """True while a local document decides instead of the source's."""
        return self.override is not None and self.override.text != b""

    @property
    def ready(self) -> bool:
        """True while there is a document to decide by that is not older than the operator allows."""
        return self.state is not None and not self.overdue

    @property
    def applied_at_ns(self) -> int:
        """When the document in force was taken over, Unix nanoseconds."""
        return self.override.since_ns if self.override and self.override.text else self.status.applied_at_ns

    @property
    def error(self) -> str:
        """What an operator must know of override, source and health checks, "" where all is as it should be."""
        override = self.override.words if self.override else ""
        return "; ".join(part for part in (override, self.status.error, self.health) if part)


Listener = Callable[[View, View], None]
Parse = Callable[[bytes], RoutingDocument]


class ViewProvider(Protocol):
    """What is in force, for those who decide by it, wherever it is made."""

    @property
    def view(self) -> View:
        """What is in force now."""

    @property
    def announced(self) -> View:
        """What watchers may know: the view that is in force wherever calls are answered."""

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change."""

    def observe(self, seen: Observation) -> None:
        """Take what a decision showed."""


class RoutingTable:
    """Holds the view, and turns what the source reports and what the clock brings into the next one.

    `view` may be read from any thread at any time. `deliver` takes a source's report, `judge` the verdicts of health
    checks, `override` a report on the local document that goes before the source's; the table's own thread, between
    `start` and `stop`, swaps the view. Listeners are called on that thread with the view before and after, in the order
    in which they were added; what one raises is logged and reaches nobody.

    `max_stale` is for how many seconds the source may be out of reach before the view is not `ready` any more.
    `clock` is the wall's, Unix nanoseconds; `elapsed` never jumps, in seconds.
    """

    def __init__(
        self,
        *,
        parse: Parse = parse_document,
        clock: Callable[[], int] = time.time_ns,
        elapsed: Callable[[], float] = time.monotonic,
        max_stale: float | None = None,
    ) -> None:
        self.view = View(state=None, text=b"", status=SourceStatus(since_ns=clock()))
        self._parse = parse
        self._clock = clock
        self._elapsed = elapsed
        self._max_stale = max_stale
        self._lost_at = elapsed()
        self._beat = elapsed()
        self._pending: list[Report] = []
        self._overriding: tuple[str, Report] | None = None
        self._unhealthy: Mapping[str, str] = {}
        self._health = ""
        self._seen: deque[Observation] = deque(maxlen=_MOST_SEEN)
        self._failover_states: FailoverStates = {}
        self._moving = False
        self._learns_at = elapsed()
        # The wall's time when `elapsed` was 0: what lasts is measured by a clock that does not jump, and can be told.
        self._epoch_ns = clock() - round(elapsed() * 1e9)
        self._judged = False
        # What the texts of the view hold.
        self._source_document: RoutingDocument | None = None
        self._override_document: RoutingDocument | None = None
        self._stopping = False
        self._work = threading.Condition()
        self._changed = threading.Condition()
        self._listeners: list[Listener] = []
        self._thread = threading.Thread(target=self._run, name="table", daemon=True)

    @property
    def announced(self) -> View:
        """The view: what is in force here is in force wherever calls are answered."""
        return self.view

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change, on the table's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Take what was delivered so far, then begin to take reports and follow the clock."""
        self._take()
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End its thread, waited for so many seconds, and wake who waits for a change. The last view stays."""
        with self._work:
            self._stopping = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
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

    def override(self, url: str, report: Report) -> None:
        """Take a report on the document that goes before the source's while it is there; returns at once."""
        with self._work:
            self._overriding = url, report
            self._work.notify()

    def judge(self, unhealthy: Mapping[str, str], notice: str = "") -> None:
        """Take which datacenters health checks judge down now, and why; `notice` is for operators. Returns at once."""
        with self._work:
            self._unhealthy = unhealthy
            self._health = notice
            self._judged = True
            self._work.notify()

    def observe(self, seen: Observation) -> None:
        """Take what a decision showed, from any thread, without a lock; it counts within a tenth of a second."""
        self._seen.append(seen)

    def remember(self, failover_states: FailoverStates) -> None:
        """Take from which datacenters work had left when the sidecar ended, before `start`."""
        self._failover_states = failover_states
        self._moving = True

    @property
    def heartbeat_age_s(self) -> float:
        """For how long its thread has shown no sign of life, in seconds: about one second at most while all is well."""
        return self._elapsed() - self._beat

    def wait(self, seen: State | None, timeout: float) -> View:
        """Return the view as soon as its state is another than `seen`, else after `timeout` seconds or `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self.view.state is not seen or self._stopping, timeout)
        return self.view

    def restore(self, text: bytes, document: RoutingDocument, applied_at_ns: int) -> None:
        """Put a snapshot's document in force, before `start`; it counts as stale until the source confirms it."""
        status = SourceStatus(
            state=SourceState.DISCONNECTED,
            error="not read yet; serving the snapshot",
            since_ns=self._clock(),
            applied_at_ns=applied_at_ns,
            from_snapshot=True,
        )
        self._source_document = document
        self._swap(replace(self.view, status=status, source_text=text))

    def _run(self) -> None:
        while True:
            self._beat = self._elapsed()
            with self._work:
                if not (self._pending or self._overriding or self._judged or self._stopping):
                    self._work.wait(self._nap())
                if self._stopping:
                    return
            self._take()

    def _take(self) -> None:
        with self._work:
            reports, self._pending = self._pending, []
            overriding, self._overriding = self._overriding, None
            self._judged = False
        try:
            self._learn()
            if overriding is not None:
                self._swap(self._overridden(self.view, *overriding))
            for report in reports:
                self._swap(self._after(self.view, report))
            self._swap(self.view)
        except Exception:
            log.exception("the routing table failed to take a change; the one before stays in force")

    def _nap(self) -> float:
        state = self.view.state
        if state is None:
            return _CLOCK_CHECK_S
        longest = _SEEN_CHECK_S if state.document.patient else _CLOCK_CHECK_S
        return longest if state.until_ns is None else min(longest, max(0.0, (state.until_ns - self._clock()) / 1e9))

    def _learn(self) -> None:
        """Take what decisions have shown since the last time."""
        state = self.view.state
        if state is None or not self._seen or self._elapsed() < self._learns_at:
            return
        before = self._failover_states
        while self._seen:
            self._failover_states = apply(self._failover_states, self._seen.popleft(), state.document, self._steady())
        if self._failover_states is not before:
            self._moving = True
            self._learns_at = self._elapsed() + _SEEN_PAUSE_S

    def _steady(self) -> int:
        return self._epoch_ns + round(self._elapsed() * 1e9)

    def _swap(self, view: View) -> None:
        """Put a view in force, with the State that follows from it and from the time, and tell everybody."""
        before, view = self.view, self._decided(view)
        if view == before:
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

    def _decided(self, view: View) -> View:
        """Return the view as it decides now: with another State where the one before does not hold any more."""
        if view.overridden and view.override is not None:
            document, text, stale = self._override_document, view.override.text, False
        else:
            document, text, stale = self._source_document, view.source_text, view.status.stale
        if document is None:
            return replace(view, health=self._health)
        if not view.status.stale:
            self._lost_at = self._elapsed()
        late = self._max_stale is not None and self._elapsed() - self._lost_at > self._max_stale
        state, now, unhealthy = view.state, self._clock(), self._unhealthy
        if self._moving or state is None or state.document is not document:
            self._failover_states = advance(self._failover_states, document, self._steady())
            self._moving = any(standing.phase is not Phase.FAILED for standing in self._failover_states.values())
        if (
            state is None
            or state.document is not document
            or state.stale is not stale
            or state.unhealthy != unhealthy
            or state.failover_states is not self._failover_states
            or not state.holds(now)
        ):
            generation = state.generation + 1 if state else 1
            state = State(
                document, generation, now, stale=stale, unhealthy=unhealthy, failover_states=self._failover_states
            )
        return replace(view, state=state, text=text, overdue=stale and late, health=self._health)

    def _overridden(self, view: View, url: str, report: Report) -> View:
        """Return the view after a report on the override's file. Only one that is not there (any more) ends it."""
        had = view.override or Override(url)
        match report:
            case Unreachable(reason):
                return replace(view, override=replace(had, error=f"the override is not read: {reason}"))
            case Missing() if had.text and self._source_document is None:
                # Nobody would decide then; so it does until the source has a document.
                return replace(view, override=replace(had, error="its file is gone, and there is no other document"))
            case Missing():
                self._override_document = None
                return replace(view, override=None)
            case Content(text, _) if text == had.text:
                return replace(view, override=replace(had, error=""))
            case Content(text, _):
                try:
                    self._override_document = self._parse(text)
                except DocumentRejected as error:
                    words = f"the override {url} is refused: {error.summary}"
                    return replace(view, override=replace(had, error=words))
                return replace(view, override=Override(url, text, had.since_ns or self._clock()))

    def _after(self, view: View, report: Report) -> View:
        """Return the view that a report of the source leads to."""
        match report:
            case Unreachable(reason):
                return self._known(view, SourceEvent.LOST, error=reason)
            case Missing(reason):
                status = replace(view.status, refusal=None)
                return self._known(replace(view, status=status), SourceEvent.ABSENT, error=reason)
            case Content(text, version):
                return self._read(replace(view, status=replace(view.status, version=version)), text)

    def _read(self, view: View, text: bytes) -> View:
        now = self._clock()
        refusal = view.status.refusal
        if refusal is not None and refusal.text == text:
            return self._known(view, SourceEvent.REFUSED, error=refusal.error.summary)
        status = replace(view.status, refusal=None, from_snapshot=False, confirmed_at_ns=now)
        if self._source_document is not None and view.source_text == text:
            return self._known(replace(view, status=status), SourceEvent.ACCEPTED)
        try:
            self._source_document = self._parse(text)
        except DocumentRejected as error:
            refusal = RejectedDocument(revision=revision_of(text), error=error, at_ns=now, text=text)
            status = replace(view.status, refusal=refusal)
            return self._known(replace(view, status=status), SourceEvent.REFUSED, error=error.summary)
        status = replace(status, applied_at_ns=now)
        return self._known(replace(view, status=status, source_text=text), SourceEvent.ACCEPTED)

    def _known(self, view: View, event: SourceEvent, *, error: str = "") -> View:
        """Return the view after an event of the source, with its next state."""
        state = next_state(view.status.state, event)
        since = view.status.since_ns if state is view.status.state else self._clock()
        return replace(view, status=replace(view.status, state=state, error=error, since_ns=since))
