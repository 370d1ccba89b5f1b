"""Finds what is to run again: what failed as there was no worker, and what runs where it would not run now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sidecar.powerjob.application import PowerJobApp
from sidecar.powerjob.http import PowerJobRefused
from sidecar.powerjob.model import (
    WITH_A_WORKER,
    Instance,
    InstanceStatus,
    Job,
    PowerJobWorker,
    Workflow,
    WorkflowStatus,
    without_worker,
    worker_lost,
)

WorkerFilter = Callable[[tuple[str, ...], str, str, Sequence[PowerJobWorker]], Collection[str]]
"""Returns the addresses to which a run would be handed now, by the names of its application, its job, its own id, and
the workers there are."""

_NOBODY = "nobody could run it now"


class RescheduleAction(Enum):
    """What is to be done about a run."""

    RETRY = "retry"
    RETRY_WORKFLOW = "retry its workflow"
    RESTART = "stop and retry"
    STOP = "stop"
    # Nobody could run it now.
    WAIT = "wait"
    LEAVE = "leave"

    @property
    def moves(self) -> bool:
        """Whether something is to be done at all."""
        return self not in {RescheduleAction.WAIT, RescheduleAction.LEAVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class RescheduleStep:
    """What is to be done about one run of an application, and why; `worker` is who had it last."""

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
    """Looks through one application once.

    With `lost`, also for what was given up because its worker fell silent. With `choose`, which `running` needs, what
    nobody could run now is to wait.
    """

    def __init__(self, app: PowerJobApp, *, lost: bool, choose: WorkerFilter | None = None) -> None:
        self._app = app
        self._lost = lost
        self._choose = choose
        self._workers: list[PowerJobWorker] | None = None
        self._jobs: dict[int, Job | None] = {}
        self._workflows: set[int] = set()

    def failed(self, since_ms: int) -> Iterator[RescheduleStep]:
        """Yield what failed for want of workers since a time (Unix milliseconds)."""
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
                yield self._when_possible(RescheduleAction.RETRY, instance, job)

    def running(self) -> Iterator[RescheduleStep]:
        """Yield what is with a worker to whom nobody would hand it now, and could be with another one."""
        assert self._choose is not None, "who would run it now is not known"
        alive = {worker.address for worker in self._alive()}
        for instance in self._app.instances(WITH_A_WORKER):
            job = self._job(instance.job)
            if job is None or instance.worker not in alive:
                # What a lost worker had, PowerJob gives up by itself.
                continue
            chosen = self._chosen(self._choose, instance, job)
            if instance.worker in chosen:
                continue
            if not chosen:
                yield self._step(RescheduleAction.WAIT, instance, _NOBODY)
            elif job.frequent:
                yield self._step(RescheduleAction.STOP, instance, "PowerJob starts a job of this kind again by itself")
            else:
                yield self._step(RescheduleAction.RESTART, instance, "it runs where it would not run now")

    def _chosen(self, choose: WorkerFilter, instance: Instance, job: Job) -> Collection[str]:
        """Return the workers to whom a run would be handed now."""
        may = [
            worker
            for worker in self._alive()
            if not job.designated or worker.tag in job.designated or worker.address in job.designated
        ]
        # The adapter in PowerJob's server asks by the number first.
        return choose((str(self._app.id), self._app.name), str(instance.job), str(instance.id), may)

    @property
    def knows_workers(self) -> bool:
        """Whether PowerJob's servers told of any worker."""
        return bool(self._alive())

    def _alive(self) -> list[PowerJobWorker]:
        if self._workers is None:
            self._workers = self._app.workers()
        return self._workers

    def _of_workflow(self, instance: Instance, workflow: int) -> Iterator[RescheduleStep]:
        """Yield the retry of a workflow, once, if that brings back nothing but what failed for want of workers."""
        if workflow in self._workflows:
            return
        run = self._app.workflow(workflow)
        if not any(node.instance == instance.id for node in run.nodes) or run.status != WorkflowStatus.FAILED:
            # It has gone on since; what failed there stays in PowerJob's list for ever.
            return
        job = self._job(instance.job)
        self._workflows.add(workflow)
        if job is None or not self._failed_for_want_only(run):
            yield self._step(
                RescheduleAction.LEAVE, instance, "another step of its workflow failed by itself or was stopped"
            )
        else:
            yield self._when_possible(RescheduleAction.RETRY_WORKFLOW, instance, job)

    def _when_possible(self, action: RescheduleAction, instance: Instance, job: Job) -> RescheduleStep:
        if self._choose is None or self._chosen(self._choose, instance, job):
            return self._step(action, instance, instance.result)
        return self._step(RescheduleAction.WAIT, instance, _NOBODY)

    def _failed_for_want_only(self, run: Workflow) -> bool:
        again = [
            node
            for node in run.nodes
            if node.status == InstanceStatus.STOPPED or (node.status == InstanceStatus.FAILED and not node.may_fail)
        ]
        return all(node.status == InstanceStatus.FAILED and self._wanted(node.result) for node in again)

    def _wanted(self, result: str) -> bool:
        return without_worker(result) or (self._lost and worker_lost(result))

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
