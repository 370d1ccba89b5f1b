"""Which of the candidates may run a job now, and why (design.md, "Decision rules")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sidecar.routing.location import Worker
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
    """The candidates that may run the job, as positions in the request's order; `datacenter` is "" if none serves."""

    indices: Sequence[int]
    datacenter: str
    reason: Reason


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
    names = (app, *aliases)
    app = state.application(names)
    plan = state.plan(names, app, job)
    if plan.route.selector is None:
        return Decision(range(len(candidates)), "", Reason.UNROUTED)
    where = state.locator.where
    located = [worker.datacenter or where(worker) for worker in candidates]
    order = order_of(plan, app, job, instance)
    serving = serving_datacenter(plan, order, located)
    if serving is None:
        if plan.route.on_empty is OnEmpty.ANY:
            left = [index for index, datacenter in enumerate(located) if datacenter not in plan.out]
            if left:
                return Decision(left, "", Reason.ANY)
        return Decision((), "", Reason.NO_WORKERS)
    datacenter, reason = serving
    return Decision([index for index, name in enumerate(located) if name == datacenter], datacenter, reason)


def order_of(plan: Plan, app: str, job: str, instance: str) -> Sequence[str]:
    """Return a route's datacenters for one job or instance, the most preferred first, each once."""
    if plan.order is not None:
        return plan.order
    key = split_key(plan, job, instance)
    return tuple(dict.fromkeys((*preference(app, key, plan.weights), *plan.route.backups)))


def split_key(plan: Plan, job: str, instance: str) -> str:
    """Return what a split keeps together: the job's id or, under `sticky: instance`, the run's; if empty, the other."""
    return (instance or job) if plan.route.sticky is Sticky.INSTANCE else (job or instance)


def serving_datacenter(plan: Plan, order: Sequence[str], located: Sequence[str]) -> tuple[str, Reason] | None:
    """Return the datacenter of the order that serves, and why, or None; `located` has each candidate's datacenter."""
    some = None
    for datacenter in order:
        if datacenter in plan.out:
            continue
        count = located.count(datacenter)
        if count >= plan.route.min_workers:
            if datacenter != order[0]:
                return datacenter, Reason.FAILOVER
            return datacenter, Reason.ACTIVE if isinstance(plan.route.selector, Active) else Reason.SPLIT
        if count and some is None:
            some = datacenter
    return None if some is None else (some, Reason.DEGRADED)
