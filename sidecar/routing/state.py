"""What decisions are made from: a document at a time, with what is out of service; immutable, swapped whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.routing.failover import FailoverStates, Observation, Phase, Scope, failed_over
from sidecar.routing.location import Locator
from sidecar.routing.model import Drill, FailBack, Route, RoutingDocument
from sidecar.routing.scalars import SECOND_NS, format_time
from sidecar.routing.schedule import weights_at, window


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """A route made ready for decisions under one State.

    `order` is the whole order of preference where one datacenter has all the weight; it is None where each key has an
    order of its own. `weights` say what each datacenter of the selector weighs now, `out` which datacenters are out of
    service for the application and why. `failed_over` are those that work has left after faults, and why: they come
    last.
    """

    route: Route
    weights: tuple[tuple[str, float], ...]
    order: tuple[str, ...] | None
    out: Mapping[str, str]
    failed_over: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """A document in force at a time. Whatever could change a decision makes a new State with the next `generation`.

    It holds from `since_ns` (inclusive) up to `until_ns`, Unix nanoseconds, None meaning ever; `now_ns` lies within.
    `unhealthy` maps each datacenter that health checks judged down to why. `stale` tells that the config center cannot
    be reached. `out` says which datacenters are out of service for every application, and why; `scoped_drills` are the
    drills that are on for some applications only. `failover_states` is what routes with a `failover` key went through;
    `failed_over` says from which datacenters work has moved away by that, for whom and why.
    """

    document: RoutingDocument
    generation: int
    now_ns: int
    stale: bool = False
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    failover_states: FailoverStates = field(default_factory=dict)
    since_ns: int | None = field(init=False)
    until_ns: int | None = field(init=False)
    locator: Locator = field(init=False, repr=False, compare=False)
    out: Mapping[str, str] = field(init=False, repr=False, compare=False)
    scoped_drills: tuple[Drill, ...] = field(init=False, repr=False, compare=False)
    failed_over: Mapping[Scope, Mapping[str, str]] = field(init=False, repr=False, compare=False)
    # Filled as requests come. At most one entry for each route of the document, each set of drills that it is under,
    # and each scope that has left a datacenter.
    _resolved: dict[tuple[int, tuple[Drill, ...], Scope | None], ResolvedRoute] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        since, until = window(self.document, self.now_ns)
        active = [drill for drill in self.document.drills if drill.active(self.now_ns)]
        out = dict(self.unhealthy)
        out |= {drill.datacenter: _drilled(drill) for drill in active if drill.apps is None}
        out |= {name: "marked" for name, dc in (self.document.datacenters or {}).items() if not dc.available}
        values = {
            "since_ns": since,
            "until_ns": until,
            "locator": Locator(self.document.datacenters),
            "out": out,
            "scoped_drills": tuple(drill for drill in active if drill.apps is not None),
            "failed_over": failed_over(self.failover_states, _second),
            "_resolved": {},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def holds(self, now_ns: int) -> bool:
        """Tell whether decisions at `now_ns` are still the ones of this State."""
        return (self.since_ns is None or self.since_ns <= now_ns) and (self.until_ns is None or now_ns < self.until_ns)

    def application(self, names: tuple[str, ...]) -> str:
        """Return the first of an application's names that the document's `apps` block has, else the first name."""
        apps = self.document.apps
        for name in names:
            if name in apps:
                return name
        return names[0]

    def resolve(self, names: tuple[str, ...], app: str, job: str) -> ResolvedRoute:
        """Return how to decide for a job of the application `app`, which goes by all of `names`."""
        route = self.document.route(app, job)
        drills = tuple(drill for drill in self.scoped_drills if drill.covers(names)) if self.scoped_drills else ()
        gone: Mapping[str, str] = {}
        scope = None
        if route.failover is not None and self.failed_over:
            scope = self.scope(app, job)
            gone = self.failed_over.get(scope, gone)
        key = (id(route), drills, scope if gone else None)
        resolved = self._resolved.get(key)
        if resolved is None:
            resolved = self._resolved[key] = self._ready(route, drills, gone)
        return resolved

    def scope(self, app: str, job: str) -> Scope:
        """Return whose failover a decision for a job of an application belongs to."""
        return app, job if self.document.names_job(app, job) else ""

    def expects(self, seen: Observation) -> bool:
        """Tell whether a decision showed what is known already, so that seeing it again tells nothing."""
        failover = self.document.route(*seen.scope).failover
        for name in (*seen.faults, *seen.well):
            standing = self.failover_states.get((seen.scope, name))
            phase = None if standing is None else standing.phase
            by_hand = failover is not None and failover.back is FailBack.MANUAL
            known = (Phase.FAILED,) if name in seen.faults else (None, Phase.FAILED) if by_hand else (None,)
            if phase not in known:
                return False
        return True

    def _ready(self, route: Route, drills: tuple[Drill, ...], gone: Mapping[str, str]) -> ResolvedRoute:
        out = self.out
        if route.failover is not None and route.failover.after_ns:
            # What probes say counts once it has lasted; orders count at once.
            out = {name: why for name, why in out.items() if name in gone or self.unhealthy.get(name) != why}
        if drills:
            # A mark says more than a drill, a drill more than a health check: the order is that of all applications.
            drilled = {drill.datacenter: _drilled(drill) for drill in drills}
            out = {**out, **{name: why for name, why in drilled.items() if out.get(name) != "marked"}}
        if route.selector is None:
            return ResolvedRoute(route=route, weights=(), order=None, out=out, failed_over=gone)
        weights = weights_at(route.selector, self.now_ns)
        weighty = [name for name, weight in weights if weight > 0]
        order = tuple(dict.fromkeys((*weighty, *route.backups))) if len(weighty) == 1 else None
        return ResolvedRoute(route=route, weights=weights, order=order, out=out, failed_over=gone)


def _second(moment_ns: int) -> str:
    return format_time(moment_ns // SECOND_NS * SECOND_NS)


def _drilled(drill: Drill) -> str:
    return f"drill: {drill.reason}" if drill.reason else "drill"
