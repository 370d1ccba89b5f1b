"""How the rules come to a decision, step by step; each fact is taken from the functions that decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sidecar.routing.changes import Backups, FailoverRule, MinWorkers
from sidecar.routing.decision import Decision, Reason, decide, order_of, split_key
from sidecar.routing.location import Candidate, LocationSource
from sidecar.routing.model import Active, OnEmpty, Ramp, Route, Split, Sticky
from sidecar.routing.outage import Outage
from sidecar.routing.rendezvous import score
from sidecar.routing.schedule import ramp_step
from sidecar.routing.state import ResolvedRoute, State
from sidecar.yaml_reader import Checkpoint, Path, Tree, show


class OriginKind(Enum):
    """Where the value of a key comes from."""

    ROUTE = "route"  # written at the path of a route
    DOCUMENT = "document"  # the document is one bare name
    BUILT_IN = "built-in"


class VerdictKind(Enum):
    """The fate of a datacenter in the order of preference."""

    SERVES = "serves"
    SERVES_SHORT = "serves-short"  # with fewer than min_workers
    OUT_OF_SERVICE = "out-of-service"
    FAILED_OVER = "failed-over"
    NO_WORKERS = "no-workers"
    TOO_FEW_WORKERS = "too-few-workers"
    NOT_NEEDED = "not-needed"


class OutcomeKind(Enum):
    """How a decision came about."""

    ACTIVE = "active"
    ALL_WEIGHT = "all-weight"
    HIGHEST_SCORE = "highest-score"
    NEXT = "next"  # the preferred datacenter cannot serve
    FAILED_OVER = "failed-over"  # work has left the preferred datacenter
    SHORT = "short"  # no datacenter has min_workers
    PATIENT = "patient"  # the datacenter has too few workers, not yet for as long as `failover.after`
    ANY = "any"
    UNROUTED = "unrouted"
    NONE_IN_SERVICE = "none-in-service"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RampPosition:
    """A ramp, and how many of its steps it has taken."""

    ramp: Ramp
    step: int


KeyValue = Active | Split | RampPosition | Backups | MinWorkers | OnEmpty | Sticky | FailoverRule


@dataclass(frozen=True, slots=True)
class RouteKey:
    """One key of the route, its value, and where that comes from; `path` is the path of a ROUTE."""

    name: str
    value: KeyValue
    origin: OriginKind
    path: str = ""


@dataclass(frozen=True, slots=True)
class LocatedCandidate:
    """A candidate, its datacenter ("" if unknown), and what that is known from; a `drained` one counts as not there."""

    address: str
    datacenter: str
    source: LocationSource | None
    drained: bool = False


@dataclass(frozen=True, slots=True)
class RankedDatacenter:
    """A datacenter in the order of preference: `weight` and `score` are None for a backup.

    `workers` counts the candidates in it, `needed` is the route's `min_workers`; `outage` is why it is out of service,
    or why work has left it.
    """

    datacenter: str
    weight: float | None
    score: float | None
    workers: int
    needed: int
    outage: Outage | None
    verdict: VerdictKind


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a decision came about; `datacenter` serves ("" if none does), `preferred` is the first in the order.

    FAILED_OVER has the `outage` of the preferred datacenter, SHORT and PATIENT the workers that were `needed`.
    """

    kind: OutcomeKind
    datacenter: str = ""
    preferred: str = ""
    outage: Outage | None = None
    needed: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what led to it. `app` is the name that the document uses, `route` the path of its route.

    `scored_as` is the request's `app`, and `split_by` the id of the job or of the run: the scores are taken over both.
    `split_by` is "" where nothing was split. `by_default_route`: the document names no route of the application.
    """

    app: str
    scored_as: str
    job: str
    instance: str
    route: str
    keys: tuple[RouteKey, ...]
    located: tuple[LocatedCandidate, ...]
    split_by: str
    order: tuple[RankedDatacenter, ...]
    decision: Decision
    outcome: Outcome
    by_default_route: bool


def explain(
    state: State,
    tree: Tree,
    app: str,
    job: str,
    instance: str,
    candidates: Sequence[Candidate],
    aliases: tuple[str, ...] = (),
    *,
    checkpoint: Checkpoint = lambda: None,
) -> Explanation:
    """Return how `decide` comes to its answer for the same arguments; `tree` has the values of the document's text.

    `checkpoint` is called for each candidate: there it may yield to other threads.
    """
    decision = decide(state, app, job, instance, candidates, aliases)
    names = (app, *aliases)
    named = state.application(names)
    resolved = state.resolve(names, named, job)
    located = []
    for worker in candidates:
        checkpoint()
        datacenter = worker.datacenter or state.locator.locate(worker)
        drain = state.locator.drains.match(worker.address)
        located.append(LocatedCandidate(worker.address, datacenter, state.locator.source(worker), drain))
    routes = tuple(_written(tree, named, job))
    order = () if resolved.route.selector is None else _choices(resolved, app, job, instance, located, decision)
    return Explanation(
        app=named,
        scored_as=app,
        job=job,
        instance=instance,
        route=show(routes[0][0]) if routes else "",
        keys=tuple(_keys(resolved.route, routes, state.now_ns)),
        located=tuple(located),
        split_by=split_key(resolved, job, instance) if any(choice.score is not None for choice in order) else "",
        order=order,
        decision=decision,
        outcome=_outcome(resolved, order, decision),
        by_default_route=named not in state.document.apps,
    )


def _written(tree: Tree, app: str, job: str) -> Iterator[tuple[Path, Mapping[str, Tree]]]:
    """Yield the written routes that a job's route is made of: its own, its application's, the default."""
    if isinstance(tree, str):
        yield (), {"active": tree}
        return
    top = _mapping(tree)
    application = _mapping(top.get("apps")).get(app)
    own = _mapping(_mapping(application).get("jobs")).get(job)
    for path, route in (
        (("apps", app, "jobs", job), own),
        (("apps", app), application),
        (("default",), top.get("default")),
    ):
        if isinstance(route, str):
            yield path, {"active": route}
        elif isinstance(route, dict):
            yield path, route


def _mapping(tree: Tree) -> Mapping[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _keys(route: Route, routes: Sequence[tuple[Path, Mapping[str, Tree]]], now_ns: int) -> Iterator[RouteKey]:
    selectors = ("active", "split", "ramp")
    path = next((path for path, keys in routes if not keys.keys().isdisjoint(selectors)), ())
    origin = OriginKind.ROUTE if path else OriginKind.DOCUMENT
    match route.selector:
        case Active() as active:
            yield RouteKey("active", active, origin, show(path))
        case Split() as split:
            yield RouteKey("split", split, origin, show(path))
        case Ramp() as ramp:
            yield RouteKey("ramp", RampPosition(ramp, ramp_step(ramp, now_ns)), origin, show(path))
        case _:
            pass
    values: tuple[tuple[str, KeyValue], ...] = (
        ("backups", Backups(route.backups)),
        ("min_workers", MinWorkers(route.min_workers)),
        ("on_empty", route.on_empty),
        ("sticky", route.sticky),
        ("failover", FailoverRule(route.failover)),
    )
    for name, value in values:
        if name == "failover" and route.failover is None:
            continue
        written = next((path for path, keys in routes if name in keys), None)
        if written is None:
            yield RouteKey(name, value, OriginKind.BUILT_IN)
        else:
            yield RouteKey(name, value, OriginKind.ROUTE, show(written))


def _choices(
    resolved: ResolvedRoute, app: str, job: str, instance: str, located: Sequence[LocatedCandidate], decision: Decision
) -> tuple[RankedDatacenter, ...]:
    order = order_of(resolved, app, job, instance)
    weights = {name: weight for name, weight in resolved.weights if weight > 0}
    key = split_key(resolved, job, instance)
    where = [worker.datacenter for worker in located if not worker.drained]
    choices = []
    for datacenter in order:
        weight = weights.get(datacenter)
        # Where one datacenter has all the weight there is nothing to score.
        points = None if weight is None or resolved.order is not None else score(app, key, datacenter, weight)
        workers = where.count(datacenter)
        outage = resolved.out.get(datacenter) or resolved.failed_over.get(datacenter)
        verdict = _verdict(resolved, datacenter, workers, decision)
        needed = resolved.route.min_workers
        choices.append(RankedDatacenter(datacenter, weight, points, workers, needed, outage, verdict))
    return tuple(choices)


def _verdict(resolved: ResolvedRoute, datacenter: str, workers: int, decision: Decision) -> VerdictKind:
    if datacenter in resolved.out:
        return VerdictKind.OUT_OF_SERVICE
    if datacenter in resolved.failed_over and datacenter != decision.datacenter:
        return VerdictKind.FAILED_OVER
    few = 0 < workers < resolved.route.min_workers
    if datacenter == decision.datacenter:
        return VerdictKind.SERVES_SHORT if few else VerdictKind.SERVES
    if not workers:
        return VerdictKind.NO_WORKERS
    return VerdictKind.TOO_FEW_WORKERS if few else VerdictKind.NOT_NEEDED


def _outcome(resolved: ResolvedRoute, order: Sequence[RankedDatacenter], decision: Decision) -> Outcome:
    serving = decision.datacenter
    match decision.reason:
        case Reason.ACTIVE:
            return Outcome(OutcomeKind.ACTIVE, serving)
        case Reason.SPLIT:
            return Outcome(OutcomeKind.ALL_WEIGHT if order[0].score is None else OutcomeKind.HIGHEST_SCORE, serving)
        case Reason.FAILOVER:
            preferred = order[0].datacenter
            outage = resolved.failed_over.get(preferred)
            return Outcome(OutcomeKind.FAILED_OVER if outage else OutcomeKind.NEXT, serving, preferred, outage)
        case Reason.DEGRADED:
            failover = resolved.route.failover
            patient = failover is not None and failover.after_ns > 0 and serving not in resolved.failed_over
            kind = OutcomeKind.PATIENT if patient else OutcomeKind.SHORT
            return Outcome(kind, serving, needed=resolved.route.min_workers)
        case Reason.ANY:
            return Outcome(OutcomeKind.ANY)
        case Reason.UNROUTED:
            return Outcome(OutcomeKind.UNROUTED)
        case _:
            passes = resolved.route.on_empty is OnEmpty.ANY
            return Outcome(OutcomeKind.NONE_IN_SERVICE if passes else OutcomeKind.REJECTED)
