"""How the rules come to a decision, step by step; each fact is taken from the functions that decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.routing.changes import failover_words
from sidecar.routing.decision import Decision, Reason, decide, order_of, split_key
from sidecar.routing.location import Candidate
from sidecar.routing.model import Active, OnEmpty, Ramp, Route, Split
from sidecar.routing.rendezvous import score
from sidecar.routing.scalars import format_duration, format_time
from sidecar.routing.schedule import ramp_step
from sidecar.routing.state import ResolvedRoute, State
from sidecar.yaml_reader import Path, Tree, show

_BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class RouteKey:
    """One key of the route, its value in words, and the path of the route that says it (or `built in`)."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class LocatedCandidate:
    """A candidate, its datacenter ("" if unknown), and what told that."""

    address: str
    datacenter: str
    source: str


@dataclass(frozen=True, slots=True)
class RankedDatacenter:
    """A datacenter in the order of preference: `weight` and `score` are None for a backup.

    `workers` counts the candidates in it; `out` says why it is out of service, "" if it is not; `verdict` what that
    means for the decision.
    """

    datacenter: str
    weight: float | None
    score: float | None
    workers: int
    out: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what led to it. `app` is the name that was decided for, `route` the path of its route.

    `split_by` is what the scores were made from: the job's id or the run's, "" where nothing was split.
    """

    app: str
    job: str
    instance: str
    route: str
    keys: tuple[RouteKey, ...]
    located: tuple[LocatedCandidate, ...]
    split_by: str
    order: tuple[RankedDatacenter, ...]
    decision: Decision
    outcome: str


def explain(
    state: State,
    tree: Tree,
    app: str,
    job: str,
    instance: str,
    candidates: Sequence[Candidate],
    aliases: tuple[str, ...] = (),
) -> Explanation:
    """Return how `decide` comes to its answer for the same arguments; `tree` is what the document's text holds."""
    decision = decide(state, app, job, instance, candidates, aliases)
    names = (app, *aliases)
    app = state.application(names)
    resolved = state.resolve(names, app, job)
    located = tuple(
        LocatedCandidate(
            worker.address, worker.datacenter or state.locator.locate(worker), state.locator.source(worker)
        )
        for worker in candidates
    )
    routes = tuple(_written(tree, app, job))
    order = () if resolved.route.selector is None else _choices(resolved, app, job, instance, located, decision)
    return Explanation(
        app=app,
        job=job,
        instance=instance,
        route=show(routes[0][0]) if routes else "",
        keys=tuple(_keys(resolved.route, routes, state.now_ns)),
        located=located,
        split_by=split_key(resolved, job, instance) if any(choice.score is not None for choice in order) else "",
        order=order,
        decision=decision,
        outcome=_outcome(resolved, order, decision),
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
    origin = next((show(path) or "the document" for path, keys in routes if not keys.keys().isdisjoint(selectors)), "")
    match route.selector:
        case Active(datacenter):
            yield RouteKey("active", datacenter, origin)
        case Split(weights):
            yield RouteKey("split", ", ".join(f"{name} {weight:g}" for name, weight in weights), origin)
        case Ramp() as ramp:
            step = f"step {ramp_step(ramp, now_ns)} of {ramp.steps}"
            span = f"from {format_time(ramp.start_ns)} over {format_duration(ramp.duration_ns)}"
            yield RouteKey("ramp", f"{ramp.source} to {ramp.target}, {step}, {span}", origin)
        case _:
            pass
    for name, value in (
        ("backups", ", ".join(route.backups) or "none"),
        ("min_workers", str(route.min_workers)),
        ("on_empty", route.on_empty.value),
        ("sticky", route.sticky.value),
        ("failover", failover_words(route.failover) if route.failover else ""),
    ):
        if not value:
            continue
        yield RouteKey(name, value, next((show(path) for path, keys in routes if name in keys), _BUILT_IN))


def _choices(
    resolved: ResolvedRoute, app: str, job: str, instance: str, located: Sequence[LocatedCandidate], decision: Decision
) -> tuple[RankedDatacenter, ...]:
    order = order_of(resolved, app, job, instance)
    weights = {name: weight for name, weight in resolved.weights if weight > 0}
    key = split_key(resolved, job, instance)
    where = [worker.datacenter for worker in located]
    choices = []
    for datacenter in order:
        weight = weights.get(datacenter)
        # Where one datacenter has all the weight there is nothing to score.
        points = None if weight is None or resolved.order is not None else score(app, key, datacenter, weight)
        workers = where.count(datacenter)
        out = resolved.out.get(datacenter, "")
        verdict = _verdict(resolved, datacenter, workers, out, decision)
        choices.append(RankedDatacenter(datacenter, weight, points, workers, out, verdict))
    return tuple(choices)


def _verdict(resolved: ResolvedRoute, datacenter: str, workers: int, out: str, decision: Decision) -> str:
    if out:
        return f"out of service ({out})"
    if datacenter in resolved.failed_over and datacenter != decision.datacenter:
        return resolved.failed_over[datacenter]
    few = 0 < workers < resolved.route.min_workers
    lacking = f"fewer than min_workers {resolved.route.min_workers}"
    if datacenter == decision.datacenter:
        return f"serves with {lacking}" if few else "serves"
    if not workers:
        return "cannot serve"
    return lacking if few else "not needed"


def _outcome(resolved: ResolvedRoute, order: Sequence[RankedDatacenter], decision: Decision) -> str:
    match decision.reason:
        case Reason.ACTIVE:
            return f"{decision.datacenter} is the active datacenter and can serve."
        case Reason.SPLIT:
            best = "has all the weight" if order[0].score is None else "has the highest score"
            return f"{decision.datacenter} {best} and can serve."
        case Reason.FAILOVER:
            first = order[0].datacenter
            why = f"{first} {resolved.failed_over[first]}" if first in resolved.failed_over else f"{first} cannot serve"
            return f"{why}; {decision.datacenter} is the next that can."
        case Reason.DEGRADED:
            least = f"No datacenter has {resolved.route.min_workers} workers"
            return f"{least}; {decision.datacenter} is the first with any."
        case Reason.ANY:
            return "No datacenter of the route can serve; on_empty: any lets whoever is in service through."
        case Reason.UNROUTED:
            return "No active, split or ramp: every candidate passes."
        case _:
            nobody = "nobody else is in service" if resolved.route.on_empty is OnEmpty.ANY else "on_empty: reject"
            return f"No datacenter of the route can serve; {nobody}, so nobody may run the job."
