"""Which of the candidates may run a job now, and why (design.md, "Decision rules")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sidecar.routing.failover import Scope, Seen
from sidecar.routing.location import Whereabouts, Worker
from sidecar.routing.model import Active, OnEmpty, Sticky
from sidecar.routing.split import preference
from sidecar.routing.state import Plan, State


class Reason(IntEnum):
    """Why a decision is what it is; names and numbers are those of the API's `Reason`."""

    ACTIVE = 1
    SPLIT = 2
    FAILOVER = 3
    DEGRADED = 4
    ANY = 5
    UNROUTED = 6
    NO_WORKERS = 7


@dataclass(frozen=True, slots=True)
class Decision:
    """The candidates that may run the job, as positions in the request's order; `datacenter` is "" if none serves.

    `seen` is what it showed to a route that fails over with patience, None for the other routes. `for_instance` tells
    that another instance of the same job may be decided otherwise.
    """

    indices: Sequence[int]
    datacenter: str
    reason: Reason
    seen: Seen | None = None
    for_instance: bool = False


def decide(
    state: State,
    app: str,
    job: str,
    instance: str,
    candidates: Sequence[Worker],
    aliases: tuple[str, ...] = (),
) -> Decision:
    """Decide which candidates may run a job of an application under a State. Waits for nothing and changes nothing.

    `app` and `aliases` are the names the application goes by. Any text is a valid name here; any number of candidates,
    also none, is answered.
    """
    return decide_among(state, app, job, instance, state.locator.whereabouts(candidates), aliases)


def decide_among(
    state: State, app: str, job: str, instance: str, where: Whereabouts, aliases: tuple[str, ...] = ()
) -> Decision:
    """Decide as `decide` does, for candidates that are located already, under the same document."""
    names = (app, *aliases)
    app = state.application(names)
    plan = state.plan(names, app, job)
    if plan.route.selector is None:
        return Decision(range(len(where.datacenters)), "", Reason.UNROUTED)
    order = order_of(plan, app, job, instance)
    alone = plan.order is None and instance != "" and (plan.route.sticky is Sticky.INSTANCE or not job)
    serving = serving_datacenter(plan, order, where)
    seen = None
    if plan.route.failover is not None:
        seen = _seen(state, plan, state.scope(app, job), order, where, serving[0] if serving else "")
    if serving is None:
        if plan.route.on_empty is OnEmpty.ANY:
            left = [index for index, datacenter in enumerate(where.datacenters) if datacenter not in plan.out]
            if left:
                return Decision(left, "", Reason.ANY, seen)
        return Decision((), "", Reason.NO_WORKERS, seen)
    datacenter, reason = serving
    return Decision(where.at(datacenter), datacenter, reason, seen, alone)


def order_of(plan: Plan, app: str, job: str, instance: str) -> Sequence[str]:
    """Return a route's datacenters for one job or instance, the most preferred first, each once."""
    if plan.order is not None:
        return plan.order
    key = split_key(plan, job, instance)
    return tuple(dict.fromkeys((*preference(app, key, plan.weights), *plan.route.backups)))


def split_key(plan: Plan, job: str, instance: str) -> str:
    """Return what a split keeps together: the job's id or, under `sticky: instance`, the run's; if empty, the other."""
    return (instance or job) if plan.route.sticky is Sticky.INSTANCE else (job or instance)


def serving_datacenter(plan: Plan, order: Sequence[str], where: Whereabouts) -> tuple[str, Reason] | None:
    """Return the datacenter of the order that serves, and why, or None."""
    some = None
    patience = plan.route.failover
    patient = patience is not None and patience.after_ns > 0
    preferred = order
    if plan.left and patience is not None and patience.keeps_away:
        preferred = sorted(order, key=plan.left.__contains__)
    for datacenter in preferred:
        if datacenter in plan.out:
            continue
        count = len(where.at(datacenter))
        if count and patient and count < plan.route.min_workers and datacenter not in plan.left:
            return datacenter, Reason.DEGRADED
        if count >= plan.route.min_workers:
            if datacenter != order[0]:
                return datacenter, Reason.FAILOVER
            return datacenter, Reason.ACTIVE if isinstance(plan.route.selector, Active) else Reason.SPLIT
        if count and some is None:
            some = datacenter
    return None if some is None else (some, Reason.DEGRADED)


def _seen(state: State, plan: Plan, scope: Scope, order: Sequence[str], where: Whereabouts, serving: str) -> Seen:
    """Return what a decision showed of the datacenters that it came past, and of those that work has left.

    What a mark or a drill has taken out is neither well nor at fault.
    """
    faults = {}
    well = []
    passed = False
    for name in order:
        if (not passed or name in plan.left) and (why := _order_or_fault(state, plan, name, where)) is not None:
            if why:
                faults[name] = why
            else:
                well.append(name)
        passed = passed or name == serving
    return Seen(scope, faults, tuple(well))


def _order_or_fault(state: State, plan: Plan, name: str, where: Whereabouts) -> str | None:
    """Return why a datacenter could not serve, "" if it could, None if an order keeps it from serving."""
    probes = state.unhealthy.get(name)
    if name in plan.out and plan.out[name] != probes:
        return None
    if probes:
        return probes
    count = len(where.at(name))
    if count >= plan.route.min_workers:
        return ""
    return f"{count} of {plan.route.min_workers} workers" if count else "no workers"
