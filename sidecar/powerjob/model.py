"""PowerJob's runs, jobs, workflows and workers as frozen values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

# The results, without a code, by which PowerJob says why it gave up a run.
_NO_WORKER = "no worker available"
_SILENT_WORKER = "worker report timeout"


class InstanceStatus(IntEnum):
    """The status of a run, or of a node of a workflow."""

    WAITING_DISPATCH = 1
    WAITING_WORKER = 2
    RUNNING = 3
    FAILED = 4
    SUCCEEDED = 5
    CANCELED = 9
    STOPPED = 10


class WorkflowStatus(IntEnum):
    """The status of a workflow's run."""

    WAITING = 1
    RUNNING = 2
    FAILED = 3
    SUCCEEDED = 4
    STOPPED = 10


DISPATCHED = (InstanceStatus.WAITING_WORKER, InstanceStatus.RUNNING)
"""Dispatched to a worker, which may have started it."""

ACTIVE = (InstanceStatus.WAITING_DISPATCH, *DISPATCHED)
"""Not ended yet."""

_NOBODY = "N/A"
_FREQUENT = (3, 4)
_MAP_REDUCE = (3, 4)
# In a job's `tag`, which PowerJob leaves to others.
_RESTART = "dc-sidecar:restart"
_STAY = "dc-sidecar:stay"
_ENABLED = 1


class Running(Enum):
    """Which instances are stopped where they run in a datacenter that work has left."""

    NONE = "false"
    # Of fixed-rate and fixed-delay jobs: one endless instance each, which PowerJob starts again by itself.
    FREQUENT = "frequent"
    ALL = "true"


class Mark(Enum):
    """The wish of a job's owner, in its `tag`, about running instances."""

    NONE = ""
    # They may be stopped and run from the beginning.
    RESTART = _RESTART
    # They are never stopped.
    STAY = _STAY


def no_worker_available(result: str) -> bool:
    """Return whether PowerJob found no worker for a run."""
    return result == _NO_WORKER


def worker_lost(result: str) -> bool:
    """Return whether PowerJob gave up a run because its worker sent no report for a minute."""
    return result.startswith(_SILENT_WORKER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One run of a job; `workflow` is the workflow run that it belongs to, `worker` the address that it was sent to."""

    id: int
    job: int
    workflow: int | None
    status: int
    result: str
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job, `designated` to workers by tag or address.

    A `frequent` one runs at a fixed rate or with a fixed delay: PowerJob starts it again by itself. An instance of a
    `map_reduce` one may have a great part of its tasks done.
    """

    id: int
    name: str
    frequent: bool
    enabled: bool
    designated: frozenset[str]
    map_reduce: bool = False
    mark: Mark = Mark.NONE

    def restartable(self, running: Running, *, map_reduce: bool) -> bool:
        """Return whether its running instances may be stopped; `map_reduce` allows it for MapReduce jobs."""
        if self.mark is not Mark.NONE:
            return self.mark is Mark.RESTART and running is not Running.NONE
        if self.frequent:
            return running is not Running.NONE
        return running is Running.ALL and (map_reduce or not self.map_reduce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step of a workflow's run; `instance` is the latest run of its job."""

    instance: int | None
    status: int
    result: str
    may_fail: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A run of a workflow."""

    id: int
    status: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerJobWorker:
    """A worker as the adapter in PowerJob's server sends it to the sidecar; unknown fields are empty."""

    address: str
    metrics: str
    tag: str
    datacenter: str = ""


def instance_of(data: Mapping[str, Any]) -> Instance:
    """Convert an InstanceInfoDTO."""
    workflow = data.get("wfInstanceId")
    return Instance(
        id=int(data["instanceId"]),
        job=int(data["jobId"]),
        workflow=None if workflow is None else int(workflow),
        status=int(data["status"]),
        result=data.get("result") or "",
        worker=worker if (worker := data.get("taskTrackerAddress") or "") != _NOBODY else "",
    )


def job_of(data: Mapping[str, Any]) -> Job:
    """Convert a JobInfoDTO."""
    designated = (data.get("designatedWorkers") or "").split(",")
    tags = {word.strip() for word in (data.get("tag") or "").split(",")}
    return Job(
        id=int(data["id"]),
        name=data.get("jobName") or "",
        frequent=data.get("timeExpressionType") in _FREQUENT,
        enabled=data.get("status") == _ENABLED,
        designated=frozenset(word.strip() for word in designated if word.strip()),
        map_reduce=data.get("executeType") in _MAP_REDUCE,
        mark=Mark.STAY if _STAY in tags else Mark.RESTART if _RESTART in tags else Mark.NONE,
    )


def node_of(data: Mapping[str, Any]) -> Node:
    """Convert a node of a PEWorkflowDAG."""
    instance = data.get("instanceId")
    return Node(
        instance=None if instance is None else int(instance),
        status=int(data.get("status") or InstanceStatus.WAITING_DISPATCH),
        result=data.get("result") or "",
        may_fail=data.get("skipWhenFailed") is True,
    )


def workflow_of(data: Mapping[str, Any]) -> Workflow:
    """Convert a WorkflowInstanceInfoDTO."""
    nodes = json.loads(data.get("dag") or "{}").get("nodes") or ()
    return Workflow(id=int(data["wfInstanceId"]), status=int(data["status"]), nodes=tuple(map(node_of, nodes)))


def worker_of(data: Mapping[str, Any]) -> PowerJobWorker:
    """Convert a WorkerInfo."""
    metrics = data.get("systemMetrics") or {}
    return PowerJobWorker(address=data["address"], metrics=metrics.get("extra") or "", tag=data.get("tag") or "")
