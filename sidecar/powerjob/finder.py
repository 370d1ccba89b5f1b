"""Finds runs to reschedule: those that failed for want of workers, and those that run where they would not run now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sidecar.errors import PowerJobRefused
from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.model import (
    DISPATCHED,
    Instance,
    InstanceStatus,
    Job,
    PowerJobWorker,
    Running,
    Workflow,
    WorkflowStatus,
    no_worker_available,
    worker_lost,
)

WorkerFilter = Callable[[tuple[str, ...], str, str, Sequence[PowerJobWorker]], Collection[str]]
"""Takes the names of an application, a job, a run, and the live workers; returns the addresses that may run it now."""

_NO_WORKER_NOW = "no worker may run it now"


class RescheduleAction(Enum):
    """How a run is rescheduled."""

    RETRY = "retry"
    RETRY_WORKFLOW = "retry its workflow"
    RESTART = "stop and retry"
    STOP = "stop"
    # No worker may run it now.
    WAIT = "wait"
    LEAVE = "leave"

    @property
    def moves(self) -> bool:
        """Whether there is anything to do."""
        return self not in {RescheduleAction.WAIT, RescheduleAction.LEAVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class RescheduleStep:
    """How one run of an application is rescheduled, and why; `worker` is the address that had it last."""

    action: RescheduleAction
    app: str
    instance: int
    job: int
    job_name: str
    workflow: int | None
    worker: str
    why: str

    def __str__(self) -> str:
        whose = f" of workflow run {self.workflow}" if self.workflow is not None else ""
        return f"run {self.instance} of job {self.job} ({self.job_name}){whose}"


class WorkFinder:
    """Searches one application once.

    With `lost`, runs that were given up because their worker fell silent count as failed for want of workers. With
    `choose`, which `running` needs, a run that no worker may run now is to wait.
    `running` and `map_reduce` say which running instances may be stopped. `score_by_id` asks by the application's id
    first, as an adapter with `score-by=id` does.
    """

    def __init__(
        self,
        app: PowerJobApp,
        *,
        lost: bool,
        choose: WorkerFilter | None = None,
        running: Running = Running.NONE,
        map_reduce: bool = False,
        score_by_id: bool = False,
    ) -> None:
        self._app = app
        self._lost = lost
        self._choose = choose
        self._running = running
        self._map_reduce = map_reduce
        self._score_by_id = score_by_id
        self._workers: list[PowerJobWorker] | None = None
        self._jobs: dict[int, Job | None] = {}
        self._workflows: set[int] = set()

    def failed(self, since_ms: int) -> Iterator[RescheduleStep]:
        """Yield the runs that failed for want of workers since a time (Unix milliseconds)."""
        for instance in self._app.instances([InstanceStatus.FAILED], since_ms=since_ms):
            if not self._wanted(instance.result):
                continue
            if instance.workflow is not None:
                yield from self._of_workflow(instance, instance.workflow)
                continue
            job = self._job(instance.job)
            if job is None:
                yield self._step(RescheduleAction.LEAVE, instance, "its job is gone")
            elif job.frequent:
                yield self._step(RescheduleAction.LEAVE, instance, "PowerJob starts a job of this kind again by itself")
            elif not job.enabled:
                yield self._step(RescheduleAction.LEAVE, instance, "its job is disabled")
            else:
                yield self._retry_or_wait(RescheduleAction.RETRY, instance, job)

    def running(self) -> Iterator[RescheduleStep]:
        """Yield the runs that are on a worker that they would not be sent to now, of jobs whose runs may be stopped."""
        if self._running is Running.NONE:
            return
        assert self._choose is not None, "running() needs `choose`"
        alive = {worker.address for worker in self._live_workers()}
        for instance in self._app.instances(DISPATCHED):
            job = self._job(instance.job)
            if job is None or instance.worker not in alive:
                # PowerJob gives up the runs of a lost worker by itself.
                continue
            if not job.restartable(self._running, map_reduce=self._map_reduce):
                continue
            chosen = self._chosen(self._choose, instance, job)
            if instance.worker in chosen:
                continue
            if not chosen:
                yield self._step(RescheduleAction.WAIT, instance, _NO_WORKER_NOW)
            elif job.frequent:
                yield self._step(RescheduleAction.STOP, instance, "PowerJob starts a job of this kind again by itself")
            else:
                yield self._step(RescheduleAction.RESTART, instance, "it runs where it would not run now")

    def _chosen(self, choose: WorkerFilter, instance: Instance, job: Job) -> Collection[str]:
        """Return the addresses that a run would be sent to now."""
        may = [
            worker
            for worker in self._live_workers()
            if not job.designated or worker.tag in job.designated or worker.address in job.designated
        ]
        # In the order of the adapter in PowerJob's server.
        names = (self._app.name, str(self._app.id))
        return choose(names[::-1] if self._score_by_id else names, str(instance.job), str(instance.id), may)

    @property
    def knows_workers(self) -> bool:
        """Whether PowerJob's servers know any live worker."""
        return bool(self._live_workers())

    def _live_workers(self) -> list[PowerJobWorker]:
        if self._workers is None:
            self._workers = self._app.workers()
        return self._workers

    def _of_workflow(self, instance: Instance, workflow: int) -> Iterator[RescheduleStep]:
        """Yield the retry of a workflow, once, if it would rerun only nodes that failed for want of workers."""
        if workflow in self._workflows:
            return
        run = self._app.workflow(workflow)
        if not any(node.instance == instance.id for node in run.nodes) or run.status != WorkflowStatus.FAILED:
            # It has continued since; its failed runs stay in PowerJob's list for ever.
            return
        job = self._job(instance.job)
        self._workflows.add(workflow)
        if job is None or not self._only_wanted_failed(run):
            yield self._step(
                RescheduleAction.LEAVE, instance, "another step of its workflow failed by itself or was stopped"
            )
        else:
            yield self._retry_or_wait(RescheduleAction.RETRY_WORKFLOW, instance, job)

    def _retry_or_wait(self, action: RescheduleAction, instance: Instance, job: Job) -> RescheduleStep:
        if self._choose is None or self._chosen(self._choose, instance, job):
            return self._step(action, instance, instance.result)
        return self._step(RescheduleAction.WAIT, instance, _NO_WORKER_NOW)

    def _only_wanted_failed(self, run: Workflow) -> bool:
        again = [
            node
            for node in run.nodes
            if node.status == InstanceStatus.STOPPED or (node.status == InstanceStatus.FAILED and not node.may_fail)
        ]
        return all(node.status == InstanceStatus.FAILED and self._wanted(node.result) for node in again)

    def _wanted(self, result: str) -> bool:
        return no_worker_available(result) or (self._lost and worker_lost(result))

    def _job(self, job: int) -> Job | None:
        if job not in self._jobs:
            try:
                self._jobs[job] = self._app.job(job)
            except PowerJobRefused:
                self._jobs[job] = None
        return self._jobs[job]

    def _step(self, action: RescheduleAction, instance: Instance, why: str) -> RescheduleStep:
        job = self._job(instance.job)
        return RescheduleStep(
            action=action,
            app=self._app.name,
            instance=instance.id,
            job=instance.job,
            job_name=job.name if job else "",
            workflow=instance.workflow,
            worker=instance.worker,
            why=why,
        )
