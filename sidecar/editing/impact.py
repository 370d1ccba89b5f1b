"""What a change of the document does to the jobs: which go from where to where, now and when its clock runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sidecar.editing.live_workers import LiveWorkers
from sidecar.editing.placement import ANYWHERE, NOBODY, Counts, JobMove, Placement, moves, placement, shares
from sidecar.routing.model import Ramp, RoutingDocument, Sticky
from sidecar.routing.scalars import format_time
from sidecar.routing.schedule import ramp_step
from sidecar.routing.state import State

# How many later moments are told, and how many applications are named of those that move alike.
_MOMENTS = 6
_NAMED = 3


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Whose jobs: an application's, or one job that has a route of its own; all the rest where `app` is empty."""

    app: str
    job: str = ""

    def __str__(self) -> str:
        if not self.app:
            return "every other application"
        return f"{self.app}/{self.job}" if self.job else self.app


@dataclass(frozen=True, slots=True)
class JobMovement:
    """Subjects whose jobs all move alike; `unit` is what is shared out, `shares` where they are afterwards."""

    subjects: tuple[Subject, ...]
    unit: str
    moves: tuple[JobMove, ...]
    shares: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        named = ", ".join(map(str, self.subjects[:_NAMED]))
        more = len(self.subjects) - _NAMED
        who = f"{named} and {more:,} more" if more > 0 else named
        if not self.moves:
            return f"{who}: {self._afterwards()}"
        single = all(subject.job for subject in self.subjects)
        where = ", ".join(
            f"{self._amount(move.share, single=single)}{_place(move.source)} → {_place(move.target)}"
            for move in self.moves
        )
        rest = f" (then {self._afterwards()})" if len(self.shares) > 1 else ""
        return f"{who}: {where}{rest}"

    def _amount(self, share: float, *, single: bool) -> str:
        if share > 1 - 1e-6:
            return "" if single else f"all {self.unit} "
        return f"{percent(share)} of {self.unit} "

    def _afterwards(self) -> str:
        if len(self.shares) == 1:
            return _place(self.shares[0][0])
        return ", ".join(f"{_place(name)} {percent(share)}" for name, share in self.shares)


@dataclass(frozen=True, slots=True)
class ImpactStep:
    """What moves at a time, and why then: "" for now, when the change is written."""

    at_ns: int
    why: str
    movements: tuple[JobMovement, ...]


class Impact:
    """Two documents at a time, `before` being None where there was none, or none that could be read.

    `counts` are the workers of each datacenter, None where they are not known; `seen` those of single applications
    then; `faults` the datacenters that health checks have judged down, and why.
    """

    def __init__(
        self,
        before: RoutingDocument | None,
        after: RoutingDocument,
        now_ns: int,
        counts: Counts | None = None,
        faults: Mapping[str, str] | None = None,
        seen: Mapping[str, LiveWorkers] | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self.now_ns = now_ns
        self.counts = counts
        self.faults = faults or {}
        self.seen = seen or {}

    def old(self, at_ns: int) -> State | None:
        """Return what decides at a time without the change."""
        return State(self.before, 0, at_ns, unhealthy=self.faults) if self.before else None

    def new(self, at_ns: int) -> State:
        """Return what decides at a time with it."""
        return State(self.after, 0, at_ns, unhealthy=self.faults)

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """Everybody that either document may send somewhere, those without a name of their own last."""
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
        """The same without a look at the workers: where the documents mean the jobs to go."""
        if self.counts is None and not self.seen:
            return self
        return Impact(self.before, self.after, self.now_ns, faults=self.faults)

    def seeing(self, seen: Mapping[str, LiveWorkers]) -> Impact:
        """Return the same with what has been seen of the workers of applications."""
        found = Impact(self.before, self.after, self.now_ns, self.counts, self.faults, seen)
        found.blind = self.blind
        return found

    def workers(self, app: str) -> Counts | None:
        """Return how many workers each datacenter has for an application, None where nobody knows."""
        if self.counts is None and app in self.seen:
            return self.seen[app].counts
        return self.counts

    @cached_property
    def changed(self) -> tuple[Subject, ...]:
        """The subjects that the change matters to, now or at a later moment, whatever workers there are."""
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
        """What moves now, and later by what the change has put on the clock."""
        last = self.old(self.now_ns)
        told = []
        for at, why in self._times:
            state = self.new(at)
            told.append(ImpactStep(at, why, self._movements(last, state)))
            last = state
        return tuple(told)

    @cached_property
    def _times(self) -> tuple[tuple[int, str], ...]:
        old_ramps = self.before.ramps if self.before else frozenset()
        old_drills = self.before.drills if self.before else ()
        times: dict[int, str] = {}
        for ramp in sorted(self.after.ramps - old_ramps, key=lambda ramp: ramp.start_ns):
            steps = f"{ramp.steps - ramp_step(ramp, self.now_ns)} steps" if ramp.steps > 1 else "its step"
            times[ramp.start_ns + ramp.duration_ns] = f"the ramp to {ramp.target} has taken {steps}"
        for drill in self.after.drills:
            if drill not in old_drills:
                times[drill.until_ns] = f"the drill of {drill.datacenter} ends"
                if drill.start_ns is not None:
                    times[drill.start_ns] = f"the drill of {drill.datacenter} starts"
        later = sorted((at, why) for at, why in times.items() if at > self.now_ns)
        return ((self.now_ns, ""), *later[:_MOMENTS])

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
                unit = "runs" if after.sticky is Sticky.INSTANCE else "jobs"
                found.append(JobMovement(tuple(subjects), unit, moved, shares(after)))
        return tuple(found)


def overlaps(comparison: Impact) -> list[str]:
    """Say which ramps and drills are under way where the change is made."""
    before, now_ns = comparison.before, comparison.now_ns
    if before is None or not comparison.changed:
        return []
    found: dict[str, None] = {}
    for drill in before.drills:
        covered = [subject for subject in comparison.changed if drill.covers((subject.app,))]
        if drill.active(now_ns) and covered:
            why = f" ({drill.reason})" if drill.reason else ""
            goes_on = "" if drill in comparison.after.drills else "; this ends it"
            found[f"a drill has {drill.datacenter} out until {format_time(drill.until_ns)}{why}{goes_on}"] = None
    for subject in comparison.changed:
        ramp = before.route(subject.app, subject.job).selector
        if not isinstance(ramp, Ramp) or not ramp.start_ns <= now_ns < ramp.start_ns + ramp.duration_ns:
            continue
        end = "" if comparison.after.route(subject.app, subject.job).selector == ramp else "; this ends it"
        taken = f"{ramp_step(ramp, now_ns)} of {ramp.steps} steps"
        found[f"{subject} is on a ramp from {ramp.source} to {ramp.target}, {taken} taken{end}"] = None
    told = [*found]
    return told if len(told) <= _MOMENTS else [*told[:_MOMENTS], f"and {len(told) - _MOMENTS:,} more"]


def percent(share: float) -> str:
    """Return a share as people read it."""
    return f"{100 * share:.3g} %"


def _place(name: str) -> str:
    return {NOBODY: "nobody", ANYWHERE: "any datacenter"}.get(name, name)


def _key(subject: Subject) -> tuple[str, str]:
    return subject.app, subject.job
