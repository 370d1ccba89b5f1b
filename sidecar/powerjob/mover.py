"""Executes the steps that reschedule runs, and returns their outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.errors import PowerJobRefused
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleAction, RescheduleStep
from sidecar.powerjob.model import ACTIVE, DISPATCHED, InstanceStatus, WorkflowStatus, no_worker_available

_ATTEMPTS = 3
_DONE = {
    RescheduleAction.RETRY: "retried",
    RescheduleAction.RETRY_WORKFLOW: "workflow retried",
    RescheduleAction.RESTART: "stopped and retried",
    RescheduleAction.STOP: "stopped",
}


@dataclass(frozen=True, slots=True)
class RescheduleOutcome:
    """The outcome of a step: done, or why not."""

    step: RescheduleStep
    done: bool
    words: str

    def __str__(self) -> str:
        return f"{self.step}: {self.words}"


def execute(app: PowerJobApp, step: RescheduleStep) -> RescheduleOutcome:
    """Execute a step; a refusal of PowerJob is an outcome too. Raises PowerJobUnavailable."""
    try:
        match step.action:
            case RescheduleAction.RETRY:
                return _retry(app, step)
            case RescheduleAction.RETRY_WORKFLOW:
                assert step.workflow is not None
                app.retry_workflow(step.workflow)
            case RescheduleAction.RESTART | RescheduleAction.STOP:
                why_not = _stop(app, step)
                if not why_not and step.action is RescheduleAction.RESTART:
                    why_not = _retry_after_stop(app, step)
                if why_not:
                    return RescheduleOutcome(step, done=False, words=why_not)
            case RescheduleAction.WAIT | RescheduleAction.LEAVE:
                return RescheduleOutcome(step, done=False, words=step.why)
    except PowerJobRefused as error:
        return RescheduleOutcome(step, done=False, words=str(error))
    return RescheduleOutcome(step, done=True, words=_DONE[step.action])


def resume(app: PowerJobApp, step: RescheduleStep) -> RescheduleOutcome | None:
    """Retry a run that an earlier step stopped; return None if it is not stopped. Raises PowerJobUnavailable."""
    try:
        if step.workflow is None:
            stopped = app.instance(step.instance).status == InstanceStatus.STOPPED
        else:
            stopped = app.workflow(step.workflow).status == WorkflowStatus.STOPPED
    except PowerJobRefused:
        # PowerJob deletes old runs.
        return None
    if not stopped:
        return None
    why_not = _retry_after_stop(app, step)
    return RescheduleOutcome(step, done=not why_not, words=why_not or _DONE[step.action])


def _retry_after_stop(app: PowerJobApp, step: RescheduleStep) -> str:
    """Retry a run that was stopped for it; return why that failed, "" if it did not."""
    try:
        if step.workflow is not None:
            app.retry_workflow(step.workflow)
        else:
            _retry_stopped(app, step.instance)
    except PowerJobRefused as error:
        return f"stopped, but not retried: {error}"
    return ""


def _retry_stopped(app: PowerJobApp, instance: int) -> None:
    for left in range(_ATTEMPTS - 1, -1, -1):
        try:
            app.retry(instance)
        except PowerJobRefused:
            now = app.instance(instance)
            if now.status in DISPATCHED and left:
                # A report that its worker sent before the stop has made it a running one again.
                app.stop(instance)
                continue
            if now.status not in ACTIVE and now.status != InstanceStatus.SUCCEEDED:
                raise
        return


def _retry(app: PowerJobApp, step: RescheduleStep) -> RescheduleOutcome:
    try:
        app.retry(step.instance)
    except PowerJobRefused:
        if app.instance(step.instance).status in ACTIVE:
            # Somebody else retried it, or we did and the response was lost.
            return RescheduleOutcome(step, done=True, words="under way again")
        raise
    now = app.instance(step.instance)
    if now.status == InstanceStatus.FAILED and no_worker_available(now.result):
        return RescheduleOutcome(step, done=False, words="retried, but there is still no worker for it")
    return RescheduleOutcome(step, done=True, words=_DONE[step.action])


def _stop(app: PowerJobApp, step: RescheduleStep) -> str:
    """Stop a run; return why it was not stopped, "" if it was."""
    now = app.instance(step.instance)
    if now.status not in DISPATCHED or now.worker != step.worker:
        return "ended or moved by itself"
    if step.workflow is not None and app.workflow(step.workflow).status != WorkflowStatus.RUNNING:
        return "its workflow does not run"
    app.stop(step.instance)
    return ""


def summary(outcomes: Iterable[RescheduleOutcome]) -> str:
    """Return a short summary: how many steps were done, and how many were not and why."""
    done: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for outcome in outcomes:
        (done if outcome.done else left)[outcome.words] += 1
    moved = ", ".join(f"{count:,} {words}" for words, count in done.items()) or "nothing moved"
    rest = "; ".join(f"{count:,} not: {words}" for words, count in left.most_common(3))
    return f"{moved}; {rest}" if rest else moved
