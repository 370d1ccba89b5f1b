"""Runs are found and rescheduled, and each step has its outcome."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.finder import RescheduleAction, WorkFinder
from sidecar.powerjob.http import PowerJobServers
from sidecar.powerjob.model import InstanceStatus, PowerJobWorker, Running, WorkflowStatus
from sidecar.powerjob.mover import RescheduleOutcome, execute, summary
from tests.unit.powerjob.fake import NO_WORKER, SILENT, FakePowerJob

HERE, THERE = "10.1.0.1:1", "10.2.0.1:1"


def to_dc2(_names: tuple[str, ...], _job: str, _instance: str, workers: Sequence[PowerJobWorker]) -> Collection[str]:
    """Send all to dc2."""
    return {worker.address for worker in workers if "dc2" in (worker.metrics, worker.tag)}


def moved(
    fake: FakePowerJob,
    *,
    running: bool = False,
    lost: bool = True,
    scope: Running = Running.ALL,
    map_reduce: bool = False,
) -> list[RescheduleOutcome]:
    """Find and move once."""
    app = PowerJobApp(PowerJobServers([fake.url], timeout=10), "billing")
    choose, scope = (to_dc2, scope) if running else (None, Running.NONE)
    finder = WorkFinder(app, lost=lost, choose=choose, running=scope, map_reduce=map_reduce)
    steps = [*finder.failed(0), *finder.running()]
    return [execute(app, step) for step in steps]


def summaries(outcomes: Sequence[RescheduleOutcome]) -> list[tuple[int, bool, str]]:
    """Return what came of each."""
    return [(outcome.step.instance, outcome.done, outcome.words) for outcome in outcomes]


def node(instance: int, status: InstanceStatus, result: str = "", **fields: object) -> dict[str, object]:
    """Return a step of a workflow."""
    return {"instanceId": str(instance), "status": int(status), "result": result, **fields}


def test_what_failed_for_want_of_workers_is_retried_and_nothing_else(fake: FakePowerJob) -> None:
    """A failure of the job itself is its owner's; what succeeded stays; a second look finds nothing."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    fake.instance(2, InstanceStatus.FAILED, SILENT)
    fake.instance(3, InstanceStatus.FAILED, "NullPointerException")
    fake.instance(4, InstanceStatus.SUCCEEDED, "ok")
    assert summaries(moved(fake)) == [(1, True, "retried"), (2, True, "retried")]
    assert moved(fake) == []


def test_without_lost_only_what_never_began(fake: FakePowerJob) -> None:
    """A run whose worker fell silent may have done its work."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    fake.instance(2, InstanceStatus.FAILED, SILENT)
    assert summaries(moved(fake, lost=False)) == [(1, True, "retried")]


def test_what_powerjob_or_an_operator_takes_care_of_is_left(fake: FakePowerJob) -> None:
    """Runs of frequent jobs, which PowerJob restarts itself, and of disabled or deleted ones, are left alone."""
    fake.job(2, timeExpressionType=3)
    fake.job(3, status=2)
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER, job=2)
    fake.instance(2, InstanceStatus.FAILED, NO_WORKER, job=3)
    fake.instance(3, InstanceStatus.FAILED, NO_WORKER, job=4)
    del fake.jobs[4]
    assert [(number, done) for number, done, _ in summaries(moved(fake))] == [(1, False), (2, False), (3, False)]
    assert fake.named("retryInstance") == 0


def test_still_without_workers_is_told_as_such(fake: FakePowerJob) -> None:
    """PowerJob takes the retry, and fails it at once."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    fake.retried[1] = [(InstanceStatus.FAILED, NO_WORKER)]
    assert summaries(moved(fake)) == [(1, False, "retried, but there is still no worker for it")]


def test_what_nobody_could_run_is_not_tried(fake: FakePowerJob) -> None:
    """Where the routes are known, a retry that can only fail again, and alarm its owner again, waits."""
    fake.worker(HERE, "dc1")
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    assert summaries(moved(fake, running=True)) == [(1, False, "no worker may run it now")]
    assert fake.named("retryInstance") == 0
    fake.worker(THERE, "dc2")
    assert summaries(moved(fake, running=True)) == [(1, True, "retried")]


def test_what_runs_where_it_would_not_run_now_is_stopped_and_retried(fake: FakePowerJob) -> None:
    """Runs on the right worker, and on lost workers, which PowerJob gives up itself, are left alone."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "", tag="dc2")
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=HERE)
    fake.instance(2, InstanceStatus.WAITING_WORKER, taskTrackerAddress=HERE)
    fake.instance(3, InstanceStatus.RUNNING, taskTrackerAddress=THERE)
    fake.instance(4, InstanceStatus.RUNNING, taskTrackerAddress="10.1.0.9:1")
    assert summaries(moved(fake, running=True)) == [(1, True, "stopped and retried"), (2, True, "stopped and retried")]
    assert fake.named("stopInstance") == 2


def test_a_job_of_designated_workers_is_not_stopped_for_nobody(fake: FakePowerJob) -> None:
    """Its workers are all where it runs: stopped, it could not run anywhere."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "dc2")
    fake.job(1, designatedWorkers=HERE)
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=HERE)
    assert summaries(moved(fake, running=True)) == [(1, False, "no worker may run it now")]
    assert fake.named("stopInstance") == 0


def test_a_frequent_job_is_only_stopped(fake: FakePowerJob) -> None:
    """PowerJob starts it again by itself; retried, it would run twice."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "dc2")
    fake.job(1, timeExpressionType=4)
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=HERE)
    assert summaries(moved(fake, running=True)) == [(1, True, "stopped")]
    assert fake.named("retryInstance") == 0


@pytest.mark.parametrize(
    ("scope", "map_reduce", "moving"),
    [
        (Running.NONE, True, set()),
        (Running.FREQUENT, True, {2, 3, 6}),
        (Running.ALL, False, {1, 2, 3, 6}),
        (Running.ALL, True, {1, 2, 3, 4, 5, 6}),
    ],
)
def test_which_running_instances_may_be_stopped(
    fake: FakePowerJob, scope: Running, *, map_reduce: bool, moving: set[int]
) -> None:
    """Fixed-rate and fixed-delay jobs under `frequent`, MapReduce on request, unless the job's tag says otherwise."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "dc2")
    fake.job(1, executeType=1)
    fake.job(2, timeExpressionType=3)
    fake.job(3, timeExpressionType=4, executeType=3)
    fake.job(4, executeType=3)
    fake.job(5, executeType=4)
    fake.job(6, executeType=3, tag="finance, dc-sidecar:restart")
    fake.job(7, timeExpressionType=3, tag="dc-sidecar:stay")
    for job in range(1, 8):
        fake.instance(job, InstanceStatus.RUNNING, job=job, taskTrackerAddress=HERE)
    found = moved(fake, running=True, scope=scope, map_reduce=map_reduce)
    assert {outcome.step.instance for outcome in found if outcome.done} == moving
    assert fake.named("stopInstance") == len(moving)


def test_asks_as_the_adapter_does(fake: FakePowerJob) -> None:
    """By the application's name, and its number as an alias; the other way round for score-by=id."""
    fake.worker(THERE, "dc2")
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER)
    asked: list[tuple[str, ...]] = []

    def note(names: tuple[str, ...], *_: object) -> Collection[str]:
        asked.append(names)
        return ()

    app = PowerJobApp(PowerJobServers([fake.url], timeout=10), "billing")
    for score_by_id in (False, True):
        list(WorkFinder(app, lost=True, choose=note, score_by_id=score_by_id).failed(0))
    assert asked == [("billing", "7"), ("7", "billing")]


def test_a_run_that_ended_meanwhile_is_not_stopped(fake: FakePowerJob) -> None:
    """A run is checked once more just before it is stopped."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "dc2")
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=HERE)
    app = PowerJobApp(PowerJobServers([fake.url], timeout=10), "billing")
    (step,) = WorkFinder(app, lost=True, choose=to_dc2, running=Running.ALL).running()
    assert step.action is RescheduleAction.RESTART
    fake.instances[1]["status"] = int(InstanceStatus.SUCCEEDED)
    assert execute(app, step) == RescheduleOutcome(step, done=False, words="ended or moved by itself")


def test_a_late_report_of_the_stopped_worker_does_not_keep_it(
    fake: FakePowerJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PowerJob then takes the run for running again: it is stopped once more and retried."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "dc2")
    fake.instance(1, InstanceStatus.RUNNING, taskTrackerAddress=HERE)
    real = PowerJobApp.retry
    late = [True]

    def retry(app: PowerJobApp, instance: int) -> None:
        if late:
            late.pop()
            fake.instances[instance]["status"] = int(InstanceStatus.RUNNING)
        real(app, instance)

    monkeypatch.setattr(PowerJobApp, "retry", retry)
    assert summaries(moved(fake, running=True)) == [(1, True, "stopped and retried")]
    assert fake.named("stopInstance") == 2


def test_a_workflow_is_retried_once_and_as_a_whole(fake: FakePowerJob) -> None:
    """Two steps of it found no worker: one retry; the old runs stay in the list and are not taken up again."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER, wfInstanceId=50)
    fake.instance(2, InstanceStatus.FAILED, NO_WORKER, wfInstanceId=50)
    fake.workflow(
        50, WorkflowStatus.FAILED, node(1, InstanceStatus.FAILED, NO_WORKER), node(2, InstanceStatus.FAILED, NO_WORKER)
    )
    assert summaries(moved(fake)) == [(1, True, "workflow retried")]
    assert moved(fake) == []
    # It failed again for another reason, with new runs.
    fake.workflow(50, WorkflowStatus.FAILED, node(3, InstanceStatus.FAILED, "boom"), node(4, InstanceStatus.SUCCEEDED))
    assert moved(fake) == []
    assert fake.named("retryWfInstance") == 1


def test_a_workflow_that_failed_for_other_reasons_too_is_left(fake: FakePowerJob) -> None:
    """A workflow is not retried if that would rerun steps that failed by themselves or were stopped by hand."""
    fake.instance(1, InstanceStatus.FAILED, NO_WORKER, wfInstanceId=50)
    want = node(1, InstanceStatus.FAILED, NO_WORKER)
    for other in (node(2, InstanceStatus.FAILED, "boom"), node(2, InstanceStatus.STOPPED, "stopped by user")):
        fake.workflow(50, WorkflowStatus.FAILED, want, other)
        assert [done for _, done, _ in summaries(moved(fake))] == [False]
    fake.workflow(50, WorkflowStatus.FAILED, want, node(2, InstanceStatus.FAILED, "boom", skipWhenFailed=True))
    assert summaries(moved(fake)) == [(1, True, "workflow retried")]


def test_a_running_step_of_a_workflow_moves_alone(fake: FakePowerJob) -> None:
    """Only that step is stopped; the retry of the workflow takes up what was stopped."""
    fake.worker(HERE, "dc1")
    fake.worker(THERE, "dc2")
    fake.instance(1, InstanceStatus.RUNNING, wfInstanceId=50, taskTrackerAddress=HERE)
    fake.instance(2, InstanceStatus.RUNNING, wfInstanceId=50, taskTrackerAddress=THERE)
    fake.workflow(50, WorkflowStatus.RUNNING, node(1, InstanceStatus.RUNNING), node(2, InstanceStatus.RUNNING))
    assert summaries(moved(fake, running=True)) == [(1, True, "stopped and retried")]
    assert (fake.named("stopInstance"), fake.named("retryWfInstance")) == (1, 1)


def test_a_summary_counts(fake: FakePowerJob) -> None:
    """What was done, then what was not and why."""
    for number in (1, 2, 3):
        fake.instance(number, InstanceStatus.FAILED, NO_WORKER)
    fake.retried[3] = [(InstanceStatus.FAILED, NO_WORKER)]
    assert summary(moved(fake)) == "2 retried; 1 not: retried, but there is still no worker for it"
    assert summary([]) == "nothing moved"
