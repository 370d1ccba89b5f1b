"""Finds the shards that run elsewhere than the sidecar would send them now, and requests resharding of their jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.elasticjob.model import ElasticJob
from sidecar.elasticjob.registry import ElasticJobRegistry
from sidecar.routing.candidates import Worker

_ELECTIONS = 20

Choose = Callable[[str, str, Sequence[Worker]], tuple[frozenset[str], str]]
"""Returns the addresses of the instances that may run a shard of a job, and their datacenter, "" for none."""


@dataclass(frozen=True, slots=True)
class MisplacedShard:
    """A shard, the address of the instance that has it ("" for none), and the datacenter that should ("" for none)."""

    item: int
    address: str
    datacenter: str


@dataclass(frozen=True, slots=True)
class ReshardStep:
    """A job to reshard, and why."""

    job: ElasticJob
    shards: tuple[MisplacedShard, ...]

    @property
    def targets(self) -> Counter[str]:
        """How many shards should go to which datacenter."""
        return Counter(shard.datacenter for shard in self.shards)

    @property
    def blocking(self) -> tuple[int, ...]:
        """The misplaced shards that run now: ElasticJob waits for their end."""
        return tuple(shard.item for shard in self.shards if shard.item in self.job.running)


def find_step(job: ElasticJob, choose: Choose) -> ReshardStep | None:
    """Return the step for a job, None if each shard is where it should be, or no instance is online."""
    if not job.instances:
        return None
    workers = tuple(job.instances.values())
    misplaced = []
    for item, identity in enumerate(job.shards):
        chosen, datacenter = choose(job.name, f"{job.name}/{item}", workers)
        instance = job.instances.get(identity)
        address = instance.address if instance is not None else ""
        if address not in chosen and (address or chosen):
            misplaced.append(MisplacedShard(item, address, datacenter))
    return ReshardStep(job, tuple(misplaced)) if misplaced else None


def execute(registry: ElasticJobRegistry, step: ReshardStep, *, running: bool) -> bool:
    """Request resharding of a job; return False if that was requested already. Raises ElasticJobUnavailable.

    With `running` ElasticJob does not wait for misplaced shards that run now: they may run twice.
    """
    job = step.job
    requested = registry.request_sharding(job.name)
    if running and step.blocking:
        for item in step.blocking:
            registry.forget_running(job.name, item)
        busy = {job.shards[item] for item in step.blocking}
        if job.leader in busy and job.instances.keys() - busy:
            _replace_leader(registry, job.name, busy)
    return requested


def _replace_leader(registry: ElasticJobRegistry, job: str, busy: set[str]) -> None:
    """Have an instance lead that is not busy: a leader shards on the thread that its running shard occupies.

    Any instance may be elected, the same one too: of four, in up to two of five elections.
    """
    for _ in range(_ELECTIONS):
        if registry.elect(job) not in busy:
            return
