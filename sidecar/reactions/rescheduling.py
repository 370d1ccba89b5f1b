"""Brings back PowerJob's work after a change: what failed for want of workers, and on request what runs elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.audit.consumer import DependencyUnavailable, TaskDeferred, TaskFailed
from sidecar.audit.record import AuditEvent, Record, RecordCause
from sidecar.gil import Yielder
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleAction, WorkFinder
from sidecar.powerjob.http import PowerJobRefused, PowerJobServers, PowerJobUnavailable
from sidecar.powerjob.model import PowerJobWorker
from sidecar.powerjob.mover import carry_out, resume, summary
from sidecar.powerjob.progress import RescheduleProgress
from sidecar.reactions.fields import read_secret
from sidecar.reactions.powerjob_settings import PowerJobSettings
from sidecar.reactions.settings import Reaction
from sidecar.routing.decision import decide
from sidecar.routing.state import State

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

log = logging.getLogger(__name__)

FOLDER = "powerjob"
"""Where, in the state directory, is kept what was done."""

# By then all sidecars and PowerJob's servers follow the change too: what is retried earlier might go the old way.
_SETTLED_S = 5.0
# PowerJob looks every 10 s for what it has lost.
_AGAIN_S = 15.0
_RENEW_S = 10.0
_LISTED = 200
# What sends work elsewhere for good: a return or a step of a ramp leaves a datacenter that is well.
_LEAVING = frozenset({"switch", "failover"})

Report = Callable[[Record], None]


class Rescheduling:
    """Does what a `powerjob` reaction says; `state` is what decides now, `report` takes what was done.

    As long as it is at a change it keeps the claim that it has of it. When the sidecar ends it raises Later, to go on
    with the next start.
    """

    def __init__(
        self,
        reaction: Reaction,
        *,
        state: Callable[[], State | None],
        report: Report,
        state_dir: Path | None,
        claims: AuditDatabase | None,
        settled: float = _SETTLED_S,
        again: float = _AGAIN_S,
    ) -> None:
        assert reaction.powerjob is not None
        self._name = reaction.name
        self._wanted = reaction.wanted
        self._lease = reaction.lease
        self._plan: PowerJobSettings = reaction.powerjob
        self._servers = PowerJobServers(self._plan.servers, timeout=reaction.timeout)
        self._choose = partial(_choose, state, Yielder())
        self._state = state
        self._report = report
        self._path = state_dir / FOLDER / reaction.name if state_dir is not None else None
        self._claims = claims
        self._settled = settled
        self._again = again
        self._progress: RescheduleProgress | None = None
        self._newest_ns = 0
        # Owed since a change that left a datacenter, until that, or a newer one in its stead, is done with.
        self._running = False
        self._renewed = 0.0
        self._stopping = threading.Event()
        # Set when there is something better to do than to wait for what PowerJob notices late.
        self._hurry = threading.Event()

    def notify(self, record: Record) -> None:
        """Take note of a change that is to come: what is under way for an earlier one need not wait any longer."""
        if self._wanted(record):
            self._newest_ns = record.at_ns
            self._hurry.set()

    def stop(self) -> None:
        """Have what is under way end soon."""
        self._stopping.set()
        self._hurry.set()

    def __call__(self, record: Record, events: Sequence[AuditEvent]) -> None:
        """Bring back what the change left behind. Raises Failed, Later."""
        if self._progress is None or self._progress.change_ns != record.at_ns:
            self._progress = RescheduleProgress(self._path, record.at_ns)
        self._running |= self._plan.running and any(event.kind in _LEAVING for event in events)
        self._renewed = time.monotonic()
        try:
            self._bring_back(self._progress, record)
        finally:
            self._tell(self._progress, record)

    def _bring_back(self, progress: RescheduleProgress, record: Record) -> None:
        until = record.at_ns / 1e9 + self._plan.watch_for
        self._stopping.wait(max(0.0, record.at_ns / 1e9 + self._settled - time.time()))
        while not self._outdated(record):
            self._hurry.clear()
            failures = [failure for app in self._plan.apps if (failure := self._sweep(app, progress, record))]
            if failures:
                raise TaskFailed("; ".join(failures))
            if self._outdated(record):
                return
            if time.time() >= until:
                self._running = False
                return
            self._keep_claim(record)
            self._hurry.wait(min(self._again, max(0.0, until - time.time())))

    def _outdated(self, record: Record) -> bool:
        """Tell whether a newer change is to come: it looks for the same, by the routes of then. Raises Later."""
        if self._stopping.is_set():
            raise TaskDeferred("the sidecar ends")
        return self._newest_ns > record.at_ns

    def _sweep(self, name: str, progress: RescheduleProgress, record: Record) -> str:
        """Look once through an application, and move what is found; return why that was not possible, else nothing."""
        password = ""
        if self._plan.password_file is not None:
            password = read_secret(self._plan.password_file)
            if not password:
                return f"{self._plan.password_file} cannot be read, or is empty"
        app = PowerJobApp(self._servers, name, password)
        since_ms = record.at_ns // 10**6 - round(self._plan.since * 1000)
        try:
            self._resume(app, progress)
            waiting = 0
            finder = WorkFinder(app, lost=self._plan.lost, choose=self._choose)
            for step in (*finder.failed(since_ms), *(finder.running() if self._running else ())):
                if step.action is RescheduleAction.WAIT:
                    waiting += 1
                    continue
                if progress.seen(step):
                    continue
                self._stopping.wait(1 / self._plan.rate)
                if self._outdated(record):
                    break
                self._keep_claim(record)
                if step.action is RescheduleAction.RESTART:
                    progress.begin(step)
                progress.end(carry_out(app, step))
            if waiting and not finder.knows_workers:
                return f"application {name}: {waiting} wait, and the servers named know no workers: are they all?"
        except (PowerJobUnavailable, PowerJobRefused) as error:
            return str(error)
        if waiting:
            log.info("%s: %d runs wait: nobody could run them now", name, waiting)
        return ""

    def _resume(self, app: PowerJobApp, progress: RescheduleProgress) -> None:
        """Finish what a kill, or a PowerJob that went away, left half done."""
        app.sign_in()
        for step in progress.half_done(app.name):
            outcome = resume(app, step)
            if outcome is None:
                progress.drop(step)
            else:
                progress.end(outcome)

    def _keep_claim(self, record: Record) -> None:
        """Have no other sidecar take over while this one is at it."""
        if self._claims is None or time.monotonic() - self._renewed < _RENEW_S:
            return
        try:
            mine = self._claims.claim(record, self._name, self._lease)
        except DependencyUnavailable:
            # Then nobody else can claim it either.
            mine = True
        if not mine:
            raise TaskDeferred("another sidecar has taken over")
        self._renewed = time.monotonic()

    def _tell(self, progress: RescheduleProgress, record: Record) -> None:
        """Report what was done since the last report."""
        outcomes = progress.untold
        if not outcomes:
            return
        state = self._state()
        events = []
        for app in dict.fromkeys(outcome.step.app for outcome in outcomes):
            words = f"{app}: {summary(outcome for outcome in outcomes if outcome.step.app == app)}"
            events.append(AuditEvent(kind="rescheduled", words=words, subjects=(app,)))
            log.info("rescheduled: %s", words)
        self._report(
            Record(
                at_ns=time.time_ns(),
                source=record.source,
                cause=RecordCause.REACTION,
                events=tuple(events),
                revision=state.document.revision if state else "",
                changes=tuple(map(str, outcomes[:_LISTED])),
            )
        )
        progress.told()


def _choose(
    state: Callable[[], State | None],
    checkpoint: Yielder,
    names: tuple[str, ...],
    job: str,
    instance: str,
    workers: Sequence[PowerJobWorker],
) -> Collection[str]:
    # There may be thousands to decide about, and the calls of PowerJob's servers go first.
    checkpoint()
    now = state()
    if now is None:
        return ()
    decision = decide(now, names[0], job, instance, workers, names[1:])
    return {workers[index].address for index in decision.indices}
