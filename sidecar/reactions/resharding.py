"""The `elasticjob` reaction: reshards the jobs whose shards are not where they should be after a change."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record
from sidecar.counters import RescheduleCounts
from sidecar.elasticjob.registry import ElasticJobRegistry, open_registry
from sidecar.elasticjob.resharding import ReshardStep, execute, find_step
from sidecar.errors import ElasticJobUnavailable, SecretUnreadable, TaskFailed
from sidecar.gil import Yielder
from sidecar.reactions.follow_up import FollowUp, ReactionContext
from sidecar.reactions.settings import Reaction
from sidecar.routing.candidates import Worker
from sidecar.routing.decision import decide
from sidecar.secret_file import read_secret

log = logging.getLogger(__name__)

# By then the sidecars of the jobs' instances follow the change too, as a rule; else the next search finds the shards.
_SETTLE_S = 0.5
_EVERY_S = 2.0
# Of a job whose shards stay where they are: its instances may follow another sidecar, or decide without one.
_REQUESTS = 3
_LISTED = 200


class Resharding(FollowUp):
    """Executes an `elasticjob` reaction."""

    def __init__(
        self,
        reaction: Reaction,
        context: ReactionContext,
        *,
        settle_s: float = _SETTLE_S,
        every_s: float = _EVERY_S,
    ) -> None:
        assert reaction.elasticjob is not None
        self._settings = reaction.elasticjob
        super().__init__(reaction, context, watch_for=self._settings.watch_for, settle_s=settle_s, every_s=every_s)
        self._timeout = reaction.timeout
        # How often each job was resharded after the current change.
        self._requests: Counter[str] = Counter()
        self._checkpoint = Yielder()

    def __call__(self, record: Record, events: Sequence[AuditEvent]) -> None:  # noqa: ARG002 - shards are looked at
        """Reshard jobs after a change. Raises TaskFailed, TaskDeferred."""
        self._claim.begin()
        self._requests.clear()
        self._counts = RescheduleCounts()
        try:
            file = self._settings.digest_file
            digest = read_secret(file) if file is not None else ""
            with open_registry(self._settings.namespace, digest=digest, timeout=self._timeout) as registry:
                self._follow(record, partial(self._search, registry, record))
        except (ElasticJobUnavailable, SecretUnreadable) as error:
            raise TaskFailed(str(error)) from error
        finally:
            self._counts = None

    def _search(self, registry: ElasticJobRegistry, record: Record) -> None:
        """Search all jobs once, and reshard those that need it."""
        done: list[ReshardStep] = []
        waiting = 0
        names = self._settings.jobs if self._settings.jobs is not None else registry.jobs()
        try:
            for name in names:
                if self._superseded(record):
                    return
                job = registry.job(name)
                step = find_step(job, self._choose) if job is not None else None
                if step is None or self._requests[name] >= _REQUESTS:
                    continue
                if step.job.pending and not (self._settings.running and step.blocking):
                    waiting += 1
                    continue
                if done:
                    self._stopping.wait(1 / self._settings.rate)
                if execute(registry, step, running=self._settings.running):
                    self._requests[name] += 1
                    done.append(step)
        finally:
            found = len(self._requests) + waiting
            self._counts = RescheduleCounts(found=found, retried=len(self._requests), waiting=waiting)
            self._report_steps(done, record)

    def _choose(self, job: str, shard: str, workers: Sequence[Worker]) -> tuple[frozenset[str], str]:
        # There may be thousands of decisions, and gRPC's calls go first.
        self._checkpoint()
        now = self._state()
        if now is None:
            return frozenset(worker.address for worker in workers), ""
        decision = decide(now, self._settings.app, job, shard, workers)
        return frozenset(workers[index].address for index in decision.indices), decision.datacenter

    def _report_steps(self, steps: Sequence[ReshardStep], record: Record) -> None:
        if not steps:
            return
        app = self._settings.app
        shards = sum(len(step.shards) for step in steps)
        jobs = "1 job" if len(steps) == 1 else f"{len(steps):,} jobs"
        event = AuditEvent(
            kind=EventKind.RESCHEDULED,
            text=f"{app}: {jobs} to reshard, {shards:,} shards elsewhere",
            detail={"app": app, "results": [{"done": True, "result": "sharding requested", "count": len(steps)}]},
            subjects=(app,),
        )
        self._report_done(record, [event], [*map(_line, steps[:_LISTED])])


def _line(step: ReshardStep) -> str:
    targets = ", ".join(f"{count:,} to {name or 'nobody'}" for name, count in step.targets.items())
    return f"job {step.job.name}: shards {targets}"
