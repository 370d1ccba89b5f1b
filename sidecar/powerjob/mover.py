"""Does what was found to be done about a run, and tells what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleAction, RescheduleStep
from sidecar.powerjob.http import PowerJobRefused
from sidecar.powerjob.model import UNDER_WAY, WITH_A_WORKER, InstanceStatus, WorkflowStatus, without_worker

_ATTEMPTS = 3
_DONE = {
    RescheduleAction.RETRY: "retried",
    RescheduleAction.RETRY_WORKFLOW: "workflow retried",
    RescheduleAction.RESTART: "stopped and retried",
    RescheduleAction.STOP: "stopped",
}


@dataclass(frozen=True, slots=True)
class RescheduleOutcome:
    """What came of a step: done, or why not."""

    step: RescheduleStep
    done: bool
    words: str

    def __str__(self) -> str:
        return f"{self.step}: {self.words}"


def carry_out(app: PowerJobApp, step: RescheduleStep) -> RescheduleOutcome:
    """Do a step. What PowerJob refuses is an outcome too; raises PowerJobAway."""
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
                    why_not = _begin_again(app, step)
                if why_not:
                    return RescheduleOutcome(step, done=False, words=why_not)
            case RescheduleAction.WAIT | RescheduleAction.LEAVE:
                return RescheduleOutcome(step, done=False, words=step.why)
    except PowerJobRefused as error:
        return RescheduleOutcome(step, done=False, words=str(error))
    return RescheduleOutcome(step, done=True, words=_DONE[step.action])


def resume(app: PowerJobApp, step: RescheduleStep) -> RescheduleOutcome | None:
    """Have a run go on that was to be stopped and retried; None where it is not stopped. Raises PowerJobAway."""
    try:
        if step.workflow is None:
            stopped = app.instance(step.instance).status == InstanceStatus.STOPPED
        else:
            stopped = app.workflow(step.workflow).status == WorkflowStatus.STOPPED
    except PowerJobRefused:
        # PowerJob clears away what is old.
        return None
    if not stopped:
        return None
    why_not = _begin_again(app, step)
    return RescheduleOutcome(step, done=not why_not, words=why_not or _DONE[step.action])


def _begin_again(app: PowerJobApp, step: RescheduleStep) -> str:
    """Have a run that we stopped run again; return why that is not possible, nothing if it is."""
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
            if now.status in WITH_A_WORKER and left:
                # A report of its worker, on its way when it was stopped, made it a running one again.
                app.stop(instance)
                continue
            if now.status not in UNDER_WAY and now.status != InstanceStatus.SUCCEEDED:
                raise
        return


def _retry(app: PowerJobApp, step: RescheduleStep) -> RescheduleOutcome:
    try:
        app.retry(step.instance)
    except PowerJobRefused:
        if app.instance(step.instance).status in UNDER_WAY:
            # By somebody else, or by us: the answer to an earlier attempt was lost.
            return RescheduleOutcome(step, done=True, words="under way again")
        raise
    now = app.instance(step.instance)
    if now.status == InstanceStatus.FAILED and without_worker(now.result):
        return RescheduleOutcome(step, done=False, words="retried, but there is still no worker for it")
    return RescheduleOutcome(step, done=True, words=_DONE[step.action])


def _stop(app: PowerJobApp, step: RescheduleStep) -> str:
    """Stop a run; return why it was not to be stopped any more, nothing if it was."""
    now = app.instance(step.instance)
    if now.status not in WITH_A_WORKER or now.worker != step.worker:
        return "ended or moved by itself"
    if step.workflow is not None and app.workflow(step.workflow).status != WorkflowStatus.RUNNING:
        return "its workflow does not run"
    app.stop(step.instance)
    return ""


def summary(outcomes: Iterable[RescheduleOutcome]) -> str:
    """Return in a few words what was done, and how much was not."""
    done: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for outcome in outcomes:
        (done if outcome.done else left)[outcome.words] += 1
    told = ", ".join(f"{count:,} {words}" for words, count in done.items()) or "nothing moved"
    rest = "; ".join(f"{count:,} not: {words}" for words, count in left.most_common(3))
    return f"{told}; {rest}" if rest else told
