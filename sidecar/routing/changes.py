"""The differences between two States: which routes went where, which datacenters went out of service or came back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from sidecar.routing.model import Failover, OnEmpty, Ramp, Route, Sticky
from sidecar.routing.outage import Outage, OutageKind, Outages
from sidecar.routing.schedule import weights_at
from sidecar.routing.shares import Shares, Weights, intended_shares
from sidecar.routing.state import State
from sidecar.yaml_reader import Checkpoint


class ChangeKind(Enum):
    """The kind of a difference between two States."""

    ROUTE = "route"  # a route of the first document
    SHARES = "shares"
    RAMP = "ramp"
    BACKUPS = "backups"
    MIN_WORKERS = "min-workers"
    ON_EMPTY = "on-empty"
    STICKY = "sticky"
    FAILOVER = "failover"
    SERVICE = "service"  # a datacenter went out of service, or came back
    PREFERENCE = "preference"  # work has left a datacenter after faults, or returned
    WORKER = "worker"  # a worker, or all that match a pattern, were drained, or get work again


@dataclass(frozen=True, slots=True)
class WholeRoute:
    """A route: where its jobs go, and the backups that come next."""

    shares: Shares
    backups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RampPlan:
    """The ramp of a route, or that it has none."""

    ramp: Ramp | None


@dataclass(frozen=True, slots=True)
class Backups:
    """The backups of a route, in order."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MinWorkers:
    """The `min_workers` of a route."""

    count: int


@dataclass(frozen=True, slots=True)
class FailoverRule:
    """The `failover` key of a route; None: faults act at once, both ways."""

    failover: Failover | None


@dataclass(frozen=True, slots=True)
class Service:
    """How a datacenter stands: in service, or its outage; `apps` where that is a drill for some applications only."""

    outage: Outage | None
    apps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preference:
    """Whether a datacenter has its place in the order of preference: None, or the outage for which it comes last."""

    datacenter: str
    outage: Outage | None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """Whether the workers of a rule are drained, and the reason that the document gives."""

    drained: bool
    reason: str = ""


Aspect = (
    Shares
    | WholeRoute
    | RampPlan
    | Backups
    | MinWorkers
    | OnEmpty
    | Sticky
    | FailoverRule
    | Service
    | Preference
    | WorkerState
)

_KINDS: dict[type, ChangeKind] = {
    WholeRoute: ChangeKind.ROUTE,
    Shares: ChangeKind.SHARES,
    RampPlan: ChangeKind.RAMP,
    Backups: ChangeKind.BACKUPS,
    MinWorkers: ChangeKind.MIN_WORKERS,
    OnEmpty: ChangeKind.ON_EMPTY,
    Sticky: ChangeKind.STICKY,
    FailoverRule: ChangeKind.FAILOVER,
    Service: ChangeKind.SERVICE,
    Preference: ChangeKind.PREFERENCE,
    WorkerState: ChangeKind.WORKER,
}


@dataclass(frozen=True, slots=True)
class RouteChange:
    """One change, the same for all its `subjects`: applications, `app/job`, "default", a datacenter, or workers.

    Datacenters are the subjects of SERVICE, and the `match` of workers of WORKER. `before` is None where there was no
    document.
    """

    subjects: tuple[str, ...]
    before: Aspect | None
    after: Aspect

    @property
    def kind(self) -> ChangeKind:
        """The kind of the difference."""
        return _KINDS[type(self.after)]


def changes(before: State | None, after: State, checkpoint: Checkpoint = lambda: None) -> list[RouteChange]:
    """Return the changes of a new State: routes, datacenters, then workers; equal changes of many routes as one.

    Empty where nothing that decides has changed, as after an edit of a comment. Without a `before` all routes are new.
    `checkpoint` is called often.
    """
    found: dict[tuple[Aspect | None, Aspect], list[str]] = {}
    if before is None or before.document is not after.document or before.now_ns != after.now_ns:
        for subject, old, new in _routes(before, after):
            checkpoint()
            difference = _difference(old, before.now_ns if before else 0, new, after.now_ns)
            if difference is not None:
                found.setdefault(difference, []).append(subject)
    result = [RouteChange(tuple(subjects), *difference) for difference, subjects in found.items()]
    return result + _services(before, after) + _preferences(before, after) + _workers(before, after)


def _routes(before: State | None, after: State) -> Iterator[tuple[str, Route | None, Route]]:
    """Yield every route by its subject, as it was and as it is."""
    new = after.document
    old = before.document if before else None
    yield "default", old.default if old else None, new.default
    apps = dict.fromkeys((*new.apps, *(old.apps if old else ())))
    for app in apps:
        yield app, old.route(app) if old else None, new.route(app)
        jobs = dict.fromkeys((*_jobs(after, app), *(_jobs(before, app) if before else ())))
        for job in jobs:
            yield f"{app}/{job}", old.route(app, job) if old else None, new.route(app, job)


def _jobs(state: State, app: str) -> tuple[str, ...]:
    application = state.document.apps.get(app)
    return tuple(application.jobs) if application else ()


def _difference(old: Route | None, old_ns: int, new: Route, new_ns: int) -> tuple[Aspect | None, Aspect] | None:
    """Return the first thing that differs between two routes, before and after."""
    if old is None:
        weights = _weights(new, new_ns)
        served = {name for name, weight in weights if weight > 0}
        backups = tuple(name for name in new.backups if name not in served)
        return None, WholeRoute(intended_shares(weights).rounded(), backups)
    if old == new and not isinstance(new.selector, Ramp):
        return None
    shares = tuple(intended_shares(_weights(*side)).rounded() for side in ((old, old_ns), (new, new_ns)))
    if shares[0] != shares[1]:
        return shares[0], shares[1]
    return next(((was, now) for was, now in zip(_aspects(old), _aspects(new), strict=True) if was != now), None)


def _weights(route: Route, now_ns: int) -> Weights:
    return weights_at(route.selector, now_ns) if route.selector else ()


def _aspects(route: Route) -> tuple[Aspect, ...]:
    return (
        RampPlan(route.selector if isinstance(route.selector, Ramp) else None),
        Backups(route.backups),
        MinWorkers(route.min_workers),
        route.on_empty,
        route.sticky,
        FailoverRule(route.failover),
    )


def _services(before: State | None, after: State) -> list[RouteChange]:
    was = _out_of_service(before) if before else {}
    now = _out_of_service(after)
    in_service = Service(None)
    return [
        RouteChange((name,), was.get(name, in_service), now.get(name, in_service))
        for name in dict.fromkeys((*was, *now))
        if was.get(name) != now.get(name)
    ]


def _out_of_service(state: State) -> dict[str, Service]:
    """Return the datacenters that are out of service, for all applications or for some."""
    found = {name: Service(outage.cause) for name, outage in state.out.items()}
    for drill in state.scoped_drills:
        if drill.datacenter not in found:
            found[drill.datacenter] = Service(Outage(OutageKind.DRILL), tuple(sorted(drill.apps or ())))
    return found


def _workers(before: State | None, after: State) -> list[RouteChange]:
    was, now = _drained(before) if before else {}, _drained(after)
    present = WorkerState(drained=False)
    found: dict[tuple[WorkerState, WorkerState], list[str]] = {}
    for match in dict.fromkeys((*was, *now)):
        old, new = was.get(match, present), now.get(match, present)
        if old != new:
            found.setdefault((old, new), []).append(match)
    return [RouteChange(tuple(matches), old, new) for (old, new), matches in found.items()]


def _drained(state: State) -> dict[str, WorkerState]:
    rules = state.document.workers
    return {rule.match: WorkerState(drained=True, reason=rule.reason) for rule in rules if not rule.available}


def _preferences(before: State | None, after: State) -> list[RouteChange]:
    was = before.failed_over if before else {}
    nothing: Outages = {}
    found: dict[tuple[Preference, Preference], list[str]] = {}
    for scope in dict.fromkeys((*was, *after.failed_over)):
        subject = "/".join(filter(None, scope))
        outages = was.get(scope, nothing), after.failed_over.get(scope, nothing)
        for name in dict.fromkeys((*outages[0], *outages[1])):
            old, new = (Preference(name, side.get(name)) for side in outages)
            if old != new:
                found.setdefault((old, new), []).append(subject)
    return [RouteChange(tuple(subjects), old, new) for (old, new), subjects in found.items()]
