"""Holds the view that is in force: one reference, swapped by one thread, read by all without a lock."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from sidecar.gil import Yielder
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverStates, Observation
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.state import State
from sidecar.sources.base import Report, Unreachable
from sidecar.transition import next_view
from sidecar.trust.admission import Admission
from sidecar.view import (
    AdmissionChanged,
    ClockTicked,
    DecisionsObserved,
    Event,
    FailoversRestored,
    HealthJudged,
    HealthNotice,
    Instant,
    LoadedDocument,
    OverrideReported,
    Parse,
    SnapshotRestored,
    SourceReported,
    View,
    initial_view,
)

# How long a jump of the wall clock may go unnoticed: a drill or a ramp step is at most so late after one.
_CLOCK_CHECK_S = 1.0
# How long observations may wait, where routes fail over with patience, and how many of them are kept. Once they have
# made a State, the next is made so much later: jobs of one application that see different workers make no storm.
_OBSERVATION_CHECK_S = 0.1
_OBSERVATION_PAUSE_S = 1.0
_MAX_OBSERVATIONS = 4096

log = logging.getLogger(__name__)

Listener = Callable[[View, View], None]


class ViewProvider(Protocol):
    """The view that is in force, for the parts that decide by it, wherever it is made."""

    @property
    def view(self) -> View:
        """The view that is in force now."""

    @property
    def announced(self) -> View:
        """The view that watchers may see: it is in force wherever calls are answered."""

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change."""

    def observe(self, observation: Observation) -> None:
        """Take the observation of a decision."""


class RoutingTable:
    """Holds the view, queues what happens, and swaps the view for the next one (`next_view`) on a thread of its own.

    `view` may be read from any thread at any time. `deliver`, `override`, `judge` and `observe` queue an event and
    return at once; the thread, between `start` and `stop`, takes them and follows the clock. Listeners are called on
    that thread with the view before and after, in the order in which they were added; what one raises is logged and
    reaches nobody else.

    `max_stale` is for how many seconds the source may be out of reach before the view is not `ready` any more.
    `admission` judges the documents of the source, `parse_override` (None: `parse`) reads those of the override.
    `clock` is the wall's, in Unix nanoseconds; `elapsed` never jumps, in seconds.
    """

    def __init__(
        self,
        *,
        parse: Parse = parse_document,
        clock: Callable[[], int] = time.time_ns,
        elapsed: Callable[[], float] = time.monotonic,
        max_stale: float | None = None,
        admission: Admission | None = None,
        parse_override: Parse | None = None,
    ) -> None:
        self._admission = admission
        self._parse_override = parse_override
        self._parse = parse
        self._clock = clock
        self._elapsed = elapsed
        self._max_stale_ns = None if max_stale is None else round(max_stale * 1e9)
        # The wall's time when `elapsed` was 0: durations are measured by a clock that does not jump, and shown by it.
        self._epoch_ns = clock() - round(elapsed() * 1e9)
        self.view = initial_view(self._now())
        self._heartbeat = elapsed()
        self._queue: list[Event] = []
        self._observations: deque[Observation] = deque(maxlen=_MAX_OBSERVATIONS)
        self._observes_at = elapsed()
        self._checkpoint = Yielder()
        self._stopping = False
        self._work = threading.Condition()
        self._changed = threading.Condition()
        self._listeners: list[Listener] = []
        self._thread = threading.Thread(target=self._run, name="table", daemon=True)

    @property
    def announced(self) -> View:
        """The view: all calls are answered by this table, so it is announced as soon as it is in force."""
        return self.view

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change, on the table's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Apply the events queued so far, then start the thread that applies further ones and follows the clock."""
        self._take()
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread within so many seconds, and wake those who wait for a change. The last view stays."""
        with self._work:
            self._stopping = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        with self._changed:
            self._changed.notify_all()

    def deliver(self, report: Report) -> None:
        """Queue a report of the source; a newer text replaces one that is still waiting."""
        self._put(SourceReported(report))

    def override(self, url: str, report: Report) -> None:
        """Queue a report on the document that goes before the source's while it is there."""
        self._put(OverrideReported(url, report))

    def judge(self, unhealthy: Outages, notice: HealthNotice | None = None) -> None:
        """Queue the outages of the datacenters that health checks judge down now; `notice` is for operators."""
        self._put(HealthJudged(unhealthy, notice))

    def judge_again(self) -> None:
        """Queue that the rules of admission are others now."""
        self._put(AdmissionChanged())

    def in_force(self) -> tuple[bytes, RoutingDocument] | None:
        """Return the source's document in force, None while there is none."""
        source = self.view.source
        return (source.text, source.document) if source is not None else None

    def observe(self, observation: Observation) -> None:
        """Queue what a decision showed, from any thread, without a lock; it is applied within a tenth of a second."""
        self._observations.append(observation)

    def remember(self, failover_states: FailoverStates) -> None:
        """Queue, before `start`, the datacenters that work had left when the sidecar ended."""
        self._put(FailoversRestored(failover_states))

    def restore(self, loaded: LoadedDocument, applied_at_ns: int) -> None:
        """Put a snapshot's document in force, before `start`; it counts as stale until the source confirms it."""
        self._apply(SnapshotRestored(loaded, applied_at_ns))

    @property
    def heartbeat_age_s(self) -> float:
        """Seconds since the last heartbeat of the thread: about one at most while all is well."""
        return self._elapsed() - self._heartbeat

    def wait(self, known: State | None, timeout: float) -> View:
        """Return the view as soon as its state is another than `known`, else after `timeout` seconds or `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self.view.state is not known or self._stopping, timeout)
        return self.view

    def _put(self, event: Event) -> None:
        with self._work:
            self._queue = [*_kept(self._queue, event), event]
            self._work.notify()

    def _run(self) -> None:
        while True:
            self._heartbeat = self._elapsed()
            with self._work:
                if not (self._queue or self._stopping):
                    self._work.wait(self._nap())
                if self._stopping:
                    return
            self._take()

    def _take(self) -> None:
        """Apply the queued events, or else the time."""
        with self._work:
            events, self._queue = self._queue, []
        self._observe()
        for event in events or (ClockTicked(),):
            self._apply(event)

    def _observe(self) -> None:
        """Apply the observations since the last time, as one event."""
        if self.view.state is None or not self._observations or self._elapsed() < self._observes_at:
            return
        before = self.view.failovers.states
        count = len(self._observations)
        self._apply(DecisionsObserved(tuple(self._observations.popleft() for _ in range(count))))
        if self.view.failovers.states is not before:
            self._observes_at = self._elapsed() + _OBSERVATION_PAUSE_S

    def _nap(self) -> float:
        state = self.view.state
        if state is None:
            return _CLOCK_CHECK_S
        longest = _OBSERVATION_CHECK_S if state.document.patient else _CLOCK_CHECK_S
        return longest if state.until_ns is None else min(longest, max(0.0, (state.until_ns - self._clock()) / 1e9))

    def _now(self) -> Instant:
        return Instant(self._clock(), self._epoch_ns + round(self._elapsed() * 1e9))

    def _apply(self, event: Event) -> None:
        """Swap the view for the one after an event, then notify those who wait and the listeners."""
        before = self.view
        try:
            view = next_view(
                before,
                event,
                self._now(),
                parse=self._parse,
                max_stale_ns=self._max_stale_ns,
                checkpoint=self._checkpoint,
                admission=self._admission,
                parse_override=self._parse_override,
            )
        except Exception:
            log.exception("the routing table could not apply a change; the previous one stays in force")
            return
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


def _kept(queue: Iterable[Event], event: Event) -> Iterable[Event]:
    """Return the events that another one does not make obsolete: of each kind only the newest counts.

    A loss of the source obsoletes an earlier loss only: the text before it must be read.
    """
    match event:
        case SourceReported(Unreachable()):
            return [each for each in queue if not _lost(each)]
        case SourceReported() | OverrideReported() | HealthJudged():
            return [each for each in queue if not isinstance(each, type(event))]
        case _:
            return queue


def _lost(event: Event) -> bool:
    return isinstance(event, SourceReported) and isinstance(event.report, Unreachable)
