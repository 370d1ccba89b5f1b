"""How the rules come to a decision, step by step; each fact is taken from the functions that decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.routing.changes import failover_words
from sidecar.routing.decision import Decision, Reason, decide, order_of, split_key
from sidecar.routing.location import Worker
from sidecar.routing.model import Active, OnEmpty, Ramp, Route, Split
from sidecar.routing.reader import Path, Tree, show
from sidecar.routing.scalars import format_duration, format_time
from sidecar.routing.schedule import ramp_step
from sidecar.routing.split import score
from sidecar.routing.state import Plan, State

_BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the route, its value in words, and the path of the route that says it (or `built in`)."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Located:
    """A candidate, its datacenter ("" if unknown), and what told that."""

    address: str
    datacenter: str
    source: str


@dataclass(frozen=True, slots=True)
class Choice:
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
    keys: tuple[Key, ...]
    located: tuple[Located, ...]
    split_by: str
    order: tuple[Choice, ...]
    decision: Decision
    outcome: str


def explain(
    state: State,
    tree: Tree,
    app: str,
    job: str,
    instance: str,
    candidates: Sequence[Worker],
    aliases: tuple[str, ...] = (),
) -> Explanation:
    """Return how `decide` comes to its answer for the same arguments; `tree` is what the document's text holds."""
    decision = decide(state, app, job, instance, candidates, aliases)
    names = (app, *aliases)
    app = state.application(names)
    plan = state.plan(names, app, job)
    located = tuple(
        Located(worker.address, worker.datacenter or state.locator.where(worker), state.locator.source(worker))
        for worker in candidates
    )
    routes = tuple(_written(tree, app, job))
    order = () if plan.route.selector is None else _choices(plan, app, job, instance, located, decision)
    return Explanation(
        app=app,
        job=job,
        instance=instance,
        route=show(routes[0][0]) if routes else "",
        keys=tuple(_keys(plan.route, routes, state.now_ns)),
        located=located,
        split_by=split_key(plan, job, instance) if any(choice.score is not None for choice in order) else "",
        order=order,
        decision=decision,
        outcome=_outcome(plan, order, decision),
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


def _keys(route: Route, routes: Sequence[tuple[Path, Mapping[str, Tree]]], now_ns: int) -> Iterator[Key]:
    selectors = ("active", "split", "ramp")
    origin = next((show(path) or "the document" for path, keys in routes if not keys.keys().isdisjoint(selectors)), "")
    match route.selector:
        case Active(datacenter):
            yield Key("active", datacenter, origin)
        case Split(weights):
            yield Key("split", ", ".join(f"{name} {weight:g}" for name, weight in weights), origin)
        case Ramp() as ramp:
            step = f"step {ramp_step(ramp, now_ns)} of {ramp.steps}"
            span = f"from {format_time(ramp.start_ns)} over {format_duration(ramp.duration_ns)}"
            yield Key("ramp", f"{ramp.source} to {ramp.target}, {step}, {span}", origin)
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
        yield Key(name, value, next((show(path) for path, keys in routes if name in keys), _BUILT_IN))


def _choices(
    plan: Plan, app: str, job: str, instance: str, located: Sequence[Located], decision: Decision
) -> tuple[Choice, ...]:
    order = order_of(plan, app, job, instance)
    weights = {name: weight for name, weight in plan.weights if weight > 0}
    key = split_key(plan, job, instance)
    where = [worker.datacenter for worker in located]
    choices = []
    for datacenter in order:
        weight = weights.get(datacenter)
        # Where one datacenter has all the weight there is nothing to score.
        points = None if weight is None or plan.order is not None else score(app, key, datacenter, weight)
        workers = where.count(datacenter)
        out = plan.out.get(datacenter, "")
        verdict = _verdict(plan, datacenter, workers, out, decision)
        choices.append(Choice(datacenter, weight, points, workers, out, verdict))
    return tuple(choices)


def _verdict(plan: Plan, datacenter: str, workers: int, out: str, decision: Decision) -> str:
    if out:
        return f"out of service ({out})"
    if datacenter in plan.left and datacenter != decision.datacenter:
        return plan.left[datacenter]
    few = 0 < workers < plan.route.min_workers
    lacking = f"fewer than min_workers {plan.route.min_workers}"
    if datacenter == decision.datacenter:
        return f"serves with {lacking}" if few else "serves"
    if not workers:
        return "cannot serve"
    return lacking if few else "not needed"


def _outcome(plan: Plan, order: Sequence[Choice], decision: Decision) -> str:
    match decision.reason:
        case Reason.ACTIVE:
            return f"{decision.datacenter} is the active datacenter and can serve."
        case Reason.SPLIT:
            best = "has all the weight" if order[0].score is None else "has the highest score"
            return f"{decision.datacenter} {best} and can serve."
        case Reason.FAILOVER:
            first = order[0].datacenter
            why = f"{first} {plan.left[first]}" if first in plan.left else f"{first} cannot serve"
            return f"{why}; {decision.datacenter} is the next that can."
        case Reason.DEGRADED:
            least = f"No datacenter has {plan.route.min_workers} workers"
            return f"{least}; {decision.datacenter} is the first with any."
        case Reason.ANY:
            return "No datacenter of the route can serve; on_empty: any lets whoever is in service through."
        case Reason.UNROUTED:
            return "No active, split or ramp: every candidate passes."
        case _:
            nobody = "nobody else is in service" if plan.route.on_empty is OnEmpty.ANY else "on_empty: reject"
            return f"No datacenter of the route can serve; {nobody}, so nobody may run the job."
