"""The `powerjob` reaction: reschedules runs that failed for want of workers, and on request those on other workers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record
from sidecar.counters import RescheduleCounts
from sidecar.errors import (
    PowerJobRefused,
    PowerJobUnavailable,
    SecretUnreadable,
    TaskFailed,
)
from sidecar.gil import Yielder
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleAction, WorkFinder
from sidecar.powerjob.http import PowerJobServers
from sidecar.powerjob.model import PowerJobWorker, Running
from sidecar.powerjob.mover import RescheduleOutcome, execute, resume, summary
from sidecar.powerjob.progress import RescheduleProgress
from sidecar.reactions.follow_up import FollowUp, ReactionContext
from sidecar.reactions.powerjob_settings import PowerJobSettings
from sidecar.reactions.settings import Reaction
from sidecar.routing.decision import decide
from sidecar.routing.state import State
from sidecar.secret_file import read_secret

log = logging.getLogger(__name__)

FOLDER = "powerjob"
"""The folder of the state directory that has each reaction's progress."""

# By then all sidecars and PowerJob's servers follow the change too: an earlier retry might take the old route.
_SETTLE_S = 5.0
# PowerJob checks every 10 s for lost workers.
_EVERY_S = 15.0
_LISTED = 200
_LOG_EVERY = 100
# Changes after which running work moves too: a return or a ramp step leaves a datacenter that is healthy.
_LEAVING = frozenset({EventKind.SWITCH, EventKind.FAILOVER})


class Rescheduling(FollowUp):
    """Executes a `powerjob` reaction."""

    def __init__(
        self,
        reaction: Reaction,
        context: ReactionContext,
        *,
        settle_s: float = _SETTLE_S,
        every_s: float = _EVERY_S,
    ) -> None:
        assert reaction.powerjob is not None
        self._settings: PowerJobSettings = reaction.powerjob
        super().__init__(reaction, context, watch_for=self._settings.watch_for, settle_s=settle_s, every_s=every_s)
        self._name = reaction.name
        self._servers = PowerJobServers(self._settings.servers, timeout=reaction.timeout)
        self._choose = partial(_choose, context.state, Yielder())
        self._path = context.state_dir / FOLDER / reaction.name if context.state_dir is not None else None
        self._progress: RescheduleProgress | None = None
        # Set by a change that left a datacenter, until that change, or a newer one in its place, is finished.
        self._move_running = False
        # Runs that wait, by application, as of the last look.
        self._waiting: dict[str, int] = {}

    def __call__(self, record: Record, events: Sequence[AuditEvent]) -> None:
        """Reschedule the runs that a change left behind. Raises TaskFailed, TaskDeferred."""
        progress = self._progress
        if progress is None or progress.change_ns != record.at_ns:
            progress = self._progress = RescheduleProgress(self._path, record.at_ns)
        self._move_running |= self._settings.running is not Running.NONE and any(
            event.kind in _LEAVING for event in events
        )
        self._claim.begin()
        self._waiting = {}
        self._count(progress)
        try:
            if self._follow(record, partial(self._search, progress, record)):
                self._move_running = False
        finally:
            self._counts = None
            self._report_outcomes(progress, record)

    def _search(self, progress: RescheduleProgress, record: Record) -> None:
        """Search all applications once."""
        failures = [failure for app in self._settings.apps if (failure := self._sweep(app, progress, record))]
        if failures:
            raise TaskFailed("; ".join(failures))

    def _sweep(self, name: str, progress: RescheduleProgress, record: Record) -> str:
        """Search an application once, and reschedule its runs; return the error, "" for none."""
        file = self._settings.password_file
        try:
            password = read_secret(file) if file is not None else ""
        except SecretUnreadable as error:
            return f"{file} {error}"
        app = PowerJobApp(self._servers, name, password)
        since_ms = record.at_ns // 10**6 - round(self._settings.since * 1000)
        try:
            self._resume(app, progress)
            waiting = 0
            finder = WorkFinder(
                app,
                lost=self._settings.lost,
                choose=self._choose,
                running=self._settings.running if self._move_running else Running.NONE,
                map_reduce=self._settings.map_reduce,
                score_by_id=self._settings.score_by_id,
            )
            for step in (*finder.failed(since_ms), *finder.running()):
                if step.action is RescheduleAction.WAIT:
                    waiting += 1
                    self._waiting[name] = waiting
                    continue
                if progress.settled(step):
                    continue
                self._stopping.wait(1 / self._settings.rate)
                if self._superseded(record):
                    break
                self._claim.renew(record)
                if step.action is RescheduleAction.RESTART:
                    progress.begin(step)
                progress.end(execute(app, step))
                self._count(progress)
            self._waiting[name] = waiting
            self._count(progress)
            if waiting and not finder.knows_workers:
                return (
                    f"application {name}: {waiting} waiting, and the servers know no workers: are all servers listed?"
                )
        except (PowerJobUnavailable, PowerJobRefused) as error:
            return str(error)
        if waiting:
            log.info("%s: %d runs wait: no worker may run them now", name, waiting)
        return ""

    def _count(self, progress: RescheduleProgress) -> None:
        """Publish how far the work is; log it at each multiple of 100 runs, and when the number that waits changes."""
        retried, stopped, settled = progress.counts()
        waiting = sum(self._waiting.values())
        before = self._counts
        now = RescheduleCounts(found=settled + waiting, retried=retried, stopped=stopped, waiting=waiting)
        self._counts = now
        if before is None or before == now:
            return
        if now.waiting != before.waiting or now.found // _LOG_EVERY != before.found // _LOG_EVERY:
            log.info(
                "%s: %d found: %d retried, %d stopped, %d waiting", self._name, now.found, retried, stopped, waiting
            )

    def _resume(self, app: PowerJobApp, progress: RescheduleProgress) -> None:
        """Retry the runs that were stopped before a kill, or before PowerJob became unavailable."""
        app.sign_in()
        for step in progress.unfinished(app.name):
            outcome = resume(app, step)
            if outcome is None:
                progress.drop(step)
            else:
                progress.end(outcome)

    def _report_outcomes(self, progress: RescheduleProgress, record: Record) -> None:
        """Report the outcomes since the last report."""
        outcomes = progress.unreported
        if not outcomes:
            return
        events = [
            _event(app, [outcome for outcome in outcomes if outcome.step.app == app])
            for app in dict.fromkeys(outcome.step.app for outcome in outcomes)
        ]
        self._report_done(record, events, [*map(str, outcomes[:_LISTED])])
        progress.mark_reported()


def _event(app: str, outcomes: Sequence[RescheduleOutcome]) -> AuditEvent:
    counted = Counter((outcome.done, outcome.words) for outcome in outcomes)
    results = [{"done": done, "result": result, "count": count} for (done, result), count in counted.items()]
    return AuditEvent(
        kind=EventKind.RESCHEDULED,
        text=f"{app}: {summary(outcomes)}",
        detail={"app": app, "results": results},
        subjects=(app,),
    )


def _choose(
    state: Callable[[], State | None],
    checkpoint: Yielder,
    names: tuple[str, ...],
    job: str,
    instance: str,
    workers: Sequence[PowerJobWorker],
) -> Collection[str]:
    # There may be thousands of decisions, and the calls of PowerJob's servers go first.
    checkpoint()
    now = state()
    if now is None:
        return ()
    decision = decide(now, names[0], job, instance, workers, names[1:])
    return {workers[index].address for index in decision.indices}
