"""What PowerJob tells of runs, jobs, workflows and workers, as plain frozen values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

# PowerJob tells by these words, no code beside them, why it has given up an instance.
_NO_WORKER = "no worker available"
_SILENT_WORKER = "worker report timeout"


class InstanceStatus(IntEnum):
    """Of an instance or of a node of a workflow."""

    WAITING_DISPATCH = 1
    WAITING_WORKER = 2
    RUNNING = 3
    FAILED = 4
    SUCCEEDED = 5
    CANCELED = 9
    STOPPED = 10


class WorkflowStatus(IntEnum):
    """Of a workflow's run."""

    WAITING = 1
    RUNNING = 2
    FAILED = 3
    SUCCEEDED = 4
    STOPPED = 10


WITH_A_WORKER = (InstanceStatus.WAITING_WORKER, InstanceStatus.RUNNING)
"""Handed to a worker, which may have begun."""

UNDER_WAY = (InstanceStatus.WAITING_DISPATCH, *WITH_A_WORKER)
"""Not at its end."""

_NOBODY = "N/A"
_FREQUENT = (3, 4)
_ENABLED = 1


def without_worker(result: str) -> bool:
    """Tell whether PowerJob found nobody to hand a run to."""
    return result == _NO_WORKER


def worker_lost(result: str) -> bool:
    """Tell whether PowerJob gave up a run as nothing was heard of its worker for a minute."""
    return result.startswith(_SILENT_WORKER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One run of a job; `workflow` is the run of a workflow that it belongs to, `worker` the address that has it."""

    id: int
    job: int
    workflow: int | None
    status: int
    result: str
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job, `designated` to workers by tag or address. PowerJob starts a `frequent` one again by itself."""

    id: int
    name: str
    frequent: bool
    enabled: bool
    designated: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step of a workflow's run; `instance` is the newest run of its job."""

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
    """A worker as the adapter in the server would show it to the sidecar; what is not known is empty."""

    address: str
    metrics: str
    tag: str
    datacenter: str = ""


def instance_of(data: Mapping[str, Any]) -> Instance:
    """Return what an InstanceInfoDTO says."""
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
    """Return what a JobInfoDTO says."""
    designated = (data.get("designatedWorkers") or "").split(",")
    return Job(
        id=int(data["id"]),
        name=data.get("jobName") or "",
        frequent=data.get("timeExpressionType") in _FREQUENT,
        enabled=data.get("status") == _ENABLED,
        designated=frozenset(word.strip() for word in designated if word.strip()),
    )


def node_of(data: Mapping[str, Any]) -> Node:
    """Return what a node of a PEWorkflowDAG says."""
    instance = data.get("instanceId")
    return Node(
        instance=None if instance is None else int(instance),
        status=int(data.get("status") or InstanceStatus.WAITING_DISPATCH),
        result=data.get("result") or "",
        may_fail=data.get("skipWhenFailed") is True,
    )


def workflow_of(data: Mapping[str, Any]) -> Workflow:
    """Return what a WorkflowInstanceInfoDTO says."""
    nodes = json.loads(data.get("dag") or "{}").get("nodes") or ()
    return Workflow(id=int(data["wfInstanceId"]), status=int(data["status"]), nodes=tuple(map(node_of, nodes)))


def worker_of(data: Mapping[str, Any]) -> PowerJobWorker:
    """Return what a WorkerInfo says."""
    metrics = data.get("systemMetrics") or {}
    return PowerJobWorker(address=data["address"], metrics=metrics.get("extra") or "", tag=data.get("tag") or "")
