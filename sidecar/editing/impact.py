"""The effect of a change on the jobs: which go from where to where, now and later by the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from sidecar.editing.facts import Facts, LiveWorkers
from sidecar.editing.placement import Counts, JobMove, Place, Placement, moves, placement, placement_shares
from sidecar.routing.model import Drill, Ramp, RoutingDocument, Sticky
from sidecar.routing.outage import Outages
from sidecar.routing.schedule import ramp_step
from sidecar.routing.state import State

# How many later steps are computed.
_MAX_STEPS = 6


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Whose jobs: an application's, or one job that has a route of its own; all the rest where `app` is empty."""

    app: str
    job: str = ""


@dataclass(frozen=True, slots=True)
class JobMovement:
    """Subjects whose jobs all move alike; `sticky` is the unit that moves, `shares` where they are afterwards."""

    subjects: tuple[Subject, ...]
    sticky: Sticky
    moves: tuple[JobMove, ...]
    shares: tuple[tuple[Place, float], ...]


class StepKind(Enum):
    """When jobs move."""

    NOW = "now"  # when the change is written
    RAMP_DONE = "ramp-done"
    DRILL_STARTS = "drill-starts"
    DRILL_ENDS = "drill-ends"


@dataclass(frozen=True, slots=True)
class StepCause:
    """When jobs move: `datacenter` is the ramp's target or the drill's; RAMP_DONE has the `steps` of the ramp then."""

    kind: StepKind
    datacenter: str = ""
    steps: int = 0
    only_step: bool = False


NOW = StepCause(StepKind.NOW)


@dataclass(frozen=True, slots=True)
class ImpactStep:
    """The moves at a time (Unix nanoseconds), and the event that makes them."""

    at_ns: int
    cause: StepCause
    movements: tuple[JobMovement, ...]


@dataclass(frozen=True, slots=True)
class DrillUnderWay:
    """A drill that is on where a change is made; `ended` if the change ends it."""

    drill: Drill
    ended: bool


@dataclass(frozen=True, slots=True)
class RampUnderWay:
    """A ramp that is on for a subject of a change, so many steps `taken`; `ended` if the change ends it."""

    subject: Subject
    ramp: Ramp
    taken: int
    ended: bool


UnderWay = DrillUnderWay | RampUnderWay


class Impact:
    """Two documents at a time, `before` being None where there was none, or none that could be read.

    `counts` are the workers of each datacenter, None where they are not known; `seen` those of single applications
    then; `faults` the outages of datacenters that health checks have judged down.
    """

    def __init__(
        self,
        before: RoutingDocument | None,
        after: RoutingDocument,
        now_ns: int,
        counts: Counts | None = None,
        faults: Outages | None = None,
        seen: Mapping[str, LiveWorkers] | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self.now_ns = now_ns
        self.counts = counts
        self.faults = faults or {}
        self.seen = seen or {}

    def old(self, at_ns: int) -> State | None:
        """Return the State that decides at a time without the change."""
        return State(self.before, 0, at_ns, unhealthy=self.faults) if self.before else None

    def new(self, at_ns: int) -> State:
        """Return the State that decides at a time with it."""
        return State(self.after, 0, at_ns, unhealthy=self.faults)

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """The subjects of both documents, those without a name of their own last."""
        found: dict[Subject, None] = {}
        for document in filter(None, (self.before, self.after)):
            for app, application in document.apps.items():
                found[Subject(app)] = None
                found |= dict.fromkeys(Subject(app, job) for job in application.jobs)
            for drill in document.drills:
                found |= dict.fromkeys(Subject(app) for app in sorted(drill.apps or ()))
        return (*found, Subject(""))

    @cached_property
    def blind(self) -> Impact:
        """The same without regard to live workers: where the documents send the jobs."""
        if self.counts is None and not self.seen:
            return self
        return Impact(self.before, self.after, self.now_ns, faults=self.faults)

    def given(self, facts: Facts) -> Impact:
        """Return the same in the light of the known outages and live workers."""
        blind = self.blind
        if facts.outages != blind.faults:
            blind = Impact(self.before, self.after, self.now_ns, faults=facts.outages)
        if facts.counts is None and not facts.live_workers:
            return blind
        found = Impact(self.before, self.after, self.now_ns, facts.counts, facts.outages, facts.live_workers)
        found.blind = blind
        return found

    def workers(self, app: str) -> Counts | None:
        """Return how many workers each datacenter has for an application, None where that is not known."""
        if self.counts is None and app in self.seen:
            return self.seen[app].counts
        return self.counts

    @cached_property
    def changed(self) -> tuple[Subject, ...]:
        """The subjects that the change concerns, now or at a later step, without regard to live workers."""
        if self.blind is not self:
            return self.blind.changed
        times = [at for at, _ in self._times]
        pairs = [(self.old(at), self.new(at)) for at in times]
        return tuple(
            subject
            for subject in self.subjects
            if any(
                old is None or placement(old, *_key(subject)) != placement(new, *_key(subject)) for old, new in pairs
            )
        )

    @cached_property
    def moments(self) -> tuple[ImpactStep, ...]:
        """The moves now, and those that the change has put on the clock."""
        last = self.old(self.now_ns)
        steps = []
        for at, cause in self._times:
            state = self.new(at)
            steps.append(ImpactStep(at, cause, self._movements(last, state)))
            last = state
        return tuple(steps)

    @cached_property
    def _times(self) -> tuple[tuple[int, StepCause], ...]:
        old_ramps = self.before.ramps if self.before else frozenset()
        old_drills = self.before.drills if self.before else ()
        times: dict[int, StepCause] = {}
        for ramp in sorted(self.after.ramps - old_ramps, key=lambda ramp: ramp.start_ns):
            steps = ramp.steps - ramp_step(ramp, self.now_ns)
            end_ns = ramp.start_ns + ramp.duration_ns
            times[end_ns] = StepCause(StepKind.RAMP_DONE, ramp.target, steps, only_step=ramp.steps == 1)
        for drill in self.after.drills:
            if drill not in old_drills:
                times[drill.until_ns] = StepCause(StepKind.DRILL_ENDS, drill.datacenter)
                if drill.start_ns is not None:
                    times[drill.start_ns] = StepCause(StepKind.DRILL_STARTS, drill.datacenter)
        later = sorted(((at, cause) for at, cause in times.items() if at > self.now_ns), key=lambda each: each[0])
        return ((self.now_ns, NOW), *later[:_MAX_STEPS])

    def _movements(self, old: State | None, new: State) -> tuple[JobMovement, ...]:
        alike: dict[tuple[bool, Placement | None, Placement], list[Subject]] = {}
        for subject in self.changed:
            workers = self.workers(subject.app)
            before = placement(old, *_key(subject), workers) if old else None
            after = placement(new, *_key(subject), workers)
            if before != after:
                alike.setdefault((bool(subject.job), before, after), []).append(subject)
        found = []
        for (_, before, after), subjects in alike.items():
            moved = moves(before, after) if before else ()
            if moved or before is None:
                found.append(JobMovement(tuple(subjects), after.sticky, moved, placement_shares(after)))
        return tuple(found)


def under_way(comparison: Impact) -> Iterator[UnderWay]:
    """Yield the drills and ramps that are on where the change is made, drills first; an equal drill or ramp once."""
    before, now_ns = comparison.before, comparison.now_ns
    if before is None or not comparison.changed:
        return
    for drill in dict.fromkeys(before.drills):
        covered = any(drill.covers((subject.app,)) for subject in comparison.changed)
        if drill.active(now_ns) and covered:
            yield DrillUnderWay(drill, ended=drill not in comparison.after.drills)
    for subject in comparison.changed:
        ramp = before.route(subject.app, subject.job).selector
        if isinstance(ramp, Ramp) and ramp.start_ns <= now_ns < ramp.start_ns + ramp.duration_ns:
            ended = comparison.after.route(subject.app, subject.job).selector != ramp
            yield RampUnderWay(subject, ramp, ramp_step(ramp, now_ns), ended)


def _key(subject: Subject) -> tuple[str, str]:
    return subject.app, subject.job
