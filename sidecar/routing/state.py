"""The State that decisions are made from: a document at a time, and the outages then; immutable, swapped whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.routing.failover import FailoverStates, Observation, Phase, Scope, failed_over
from sidecar.routing.location import Locator, locator_of
from sidecar.routing.model import Drill, FailBack, Route, RoutingDocument
from sidecar.routing.outage import MARKED, Outage, OutageKind, Outages, drilled
from sidecar.routing.schedule import weights_at, window

# Stands for outages that are to be computed from the failover states.
_COMPUTED: Mapping[Scope, Outages] = {}


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """A route made ready for decisions under one State.

    `order` is the whole order of preference where one datacenter has all the weight; it is None where each key has an
    order of its own. `weights` are what each datacenter of the selector weighs now, `out` the outages of datacenters
    that are out of service for the application. `failed_over` are those that work has left after faults: they come
    last.
    """

    route: Route
    weights: tuple[tuple[str, float], ...]
    order: tuple[str, ...] | None
    out: Outages
    failed_over: Outages = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """A document in force at a time. Each event that could change a decision makes a State with the next `generation`.

    It holds from `since_ns` (inclusive) up to `until_ns`, Unix nanoseconds, None meaning ever; `now_ns` lies within.
    `unhealthy` are the outages of datacenters that health checks judged down. `stale` is True while the config center
    cannot be reached. `out` are the outages that concern every application; `scoped_drills` are the drills that are on
    for some applications only. `failover_states` is what named applications with a `failover` key went through,
    `failed_over` the outages that follow from it, by scope; it is computed where it is not given.
    """

    document: RoutingDocument
    generation: int
    now_ns: int
    stale: bool = False
    unhealthy: Outages = field(default_factory=dict)
    failover_states: FailoverStates = field(default_factory=dict)
    failed_over: Mapping[Scope, Outages] = field(default_factory=lambda: _COMPUTED, repr=False, compare=False)
    since_ns: int | None = field(init=False)
    until_ns: int | None = field(init=False)
    locator: Locator = field(init=False, repr=False, compare=False)
    out: Outages = field(init=False, repr=False, compare=False)
    scoped_drills: tuple[Drill, ...] = field(init=False, repr=False, compare=False)
    # The drills for all applications that are on, by datacenter, in the document's order.
    _drills_for_all: Mapping[str, Sequence[Drill]] = field(init=False, repr=False, compare=False)
    # Filled as requests come. The positions of the drills that are on for an application that a drill names.
    _drills: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    # At most one entry for each route of the document, each set of drills that it is under, and each scope that has
    # left a datacenter.
    _resolved: dict[tuple[int, tuple[int, ...], Scope | None], ResolvedRoute] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        since, until = window(self.document, self.now_ns)
        active = [drill for drill in self.document.drills if drill.active(self.now_ns)]
        for_all: dict[str, list[Drill]] = {}
        for drill in active:
            if drill.apps is None:
                for_all.setdefault(drill.datacenter, []).append(drill)
        # A mark says more than a drill, a drill more than a health check.
        out = {**self.unhealthy, **drilled(drill for drills in for_all.values() for drill in drills)}
        out |= {name: MARKED for name, dc in (self.document.datacenters or {}).items() if not dc.available}
        values: dict[str, object] = {
            "since_ns": since,
            "until_ns": until,
            "locator": locator_of(self.document),
            "out": out,
            "scoped_drills": tuple(drill for drill in active if drill.apps is not None),
            "_drills_for_all": for_all,
            "_drills": {},
            "_resolved": {},
        }
        if self.failed_over is _COMPUTED:
            values["failed_over"] = failed_over(self.failover_states)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def holds(self, now_ns: int) -> bool:
        """Return whether decisions at `now_ns` are still the ones of this State."""
        return (self.since_ns is None or self.since_ns <= now_ns) and (self.until_ns is None or now_ns < self.until_ns)

    def application(self, names: tuple[str, ...]) -> str:
        """Return the first of an application's names that the document's `apps` block has, else the first name."""
        apps = self.document.apps
        for name in names:
            if name in apps:
                return name
        return names[0]

    def resolve(self, names: tuple[str, ...], app: str, job: str) -> ResolvedRoute:
        """Return the route for a job of the application `app`, known by all of `names`, as it is under this State."""
        route = self.document.route(app, job)
        drills = self._drills_of(names) if self.scoped_drills else ()
        failed_over: Outages = {}
        scope = None
        if route.failover is not None and self.failed_over:
            scope = self.scope(app, job)
            failed_over = self.failed_over.get(scope, failed_over)
        key = (id(route), drills, scope if failed_over else None)
        resolved = self._resolved.get(key)
        if resolved is None:
            resolved = self._resolved[key] = self._resolve(route, drills, failed_over)
        return resolved

    def _drills_of(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return the positions of the drills that are on for the application with these names."""
        by_app = self.document.drills_by_app
        found: tuple[int, ...] = ()
        for name in names:
            if name not in by_app:
                continue
            drills = self._drills.get(name)
            if drills is None:
                on = (position for position in by_app[name] if self.document.drills[position].active(self.now_ns))
                drills = self._drills[name] = tuple(on)
            found = tuple(sorted({*found, *drills})) if found else drills
        return found

    def scope(self, app: str, job: str) -> Scope:
        """Return the failover scope of a job of an application."""
        return app, job if self.document.names_job(app, job) else ""

    def expects(self, observation: Observation) -> bool:
        """Return whether an observation would change nothing: its faults and recoveries are known."""
        failover = self.document.route(*observation.scope).failover
        for name in (*observation.faults, *observation.well):
            known = self.failover_states.get((observation.scope, name))
            phase = None if known is None else known.phase
            by_hand = failover is not None and failover.back is FailBack.MANUAL
            expected = (Phase.FAILED,) if name in observation.faults else (None, Phase.FAILED) if by_hand else (None,)
            if phase not in expected:
                return False
        return True

    def _resolve(self, route: Route, positions: tuple[int, ...], failed_over: Outages) -> ResolvedRoute:
        out = self.out
        if route.failover is not None and route.failover.after_ns:
            # Verdicts of health checks count once they have lasted; orders count at once.
            out = {
                name: outage
                for name, outage in out.items()
                if name in failed_over or outage.kind is not OutageKind.UNHEALTHY
            }
        if positions:
            drills = [self.document.drills[position] for position in positions]
            names = dict.fromkeys(drill.datacenter for drill in drills)
            for_all = (drill for name in names for drill in self._drills_for_all.get(name, ()))
            outages = drilled((*for_all, *drills))
            out = {**out, **{name: outage for name, outage in outages.items() if not _marked(out.get(name))}}
        if route.selector is None:
            return ResolvedRoute(route=route, weights=(), order=None, out=out, failed_over=failed_over)
        weights = weights_at(route.selector, self.now_ns)
        positive = [name for name, weight in weights if weight > 0]
        order = tuple(dict.fromkeys((*positive, *route.backups))) if len(positive) == 1 else None
        return ResolvedRoute(route=route, weights=weights, order=order, out=out, failed_over=failed_over)


def _marked(outage: Outage | None) -> bool:
    return outage is not None and outage.kind is OutageKind.MARKED
