"""Decides which of the candidates may run a job now, and why (docs/decision-rules.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sidecar.routing.failover import Observation, Scope
from sidecar.routing.location import Candidate, CandidateLocations
from sidecar.routing.model import Active, OnEmpty, Sticky
from sidecar.routing.rendezvous import preference
from sidecar.routing.state import ResolvedRoute, State


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
    seen: Observation | None = None
    for_instance: bool = False


def decide(
    state: State,
    app: str,
    job: str,
    instance: str,
    candidates: Sequence[Candidate],
    aliases: tuple[str, ...] = (),
) -> Decision:
    """Decide which candidates may run a job of an application under a State. Waits for nothing and changes nothing.

    `app` and `aliases` are the names the application goes by. Any text is a valid name here; any number of candidates,
    also none, is answered.
    """
    return decide_among(state, app, job, instance, state.locator.locate_all(candidates), aliases)


def decide_among(
    state: State, app: str, job: str, instance: str, where: CandidateLocations, aliases: tuple[str, ...] = ()
) -> Decision:
    """Decide as `decide` does, for candidates that are located already, under the same document."""
    names = (app, *aliases)
    app = state.application(names)
    resolved = state.resolve(names, app, job)
    if resolved.route.selector is None:
        return Decision(range(len(where.datacenters)), "", Reason.UNROUTED)
    order = order_of(resolved, app, job, instance)
    alone = resolved.order is None and instance != "" and (resolved.route.sticky is Sticky.INSTANCE or not job)
    serving = serving_datacenter(resolved, order, where)
    seen = None
    if resolved.route.failover is not None:
        seen = _seen(state, resolved, state.scope(app, job), order, where, serving[0] if serving else "")
    if serving is None:
        if resolved.route.on_empty is OnEmpty.ANY:
            left = [index for index, datacenter in enumerate(where.datacenters) if datacenter not in resolved.out]
            if left:
                return Decision(left, "", Reason.ANY, seen)
        return Decision((), "", Reason.NO_WORKERS, seen)
    datacenter, reason = serving
    return Decision(where.at(datacenter), datacenter, reason, seen, alone)


def order_of(resolved: ResolvedRoute, app: str, job: str, instance: str) -> Sequence[str]:
    """Return a route's datacenters for one job or instance, the most preferred first, each once."""
    if resolved.order is not None:
        return resolved.order
    key = split_key(resolved, job, instance)
    return tuple(dict.fromkeys((*preference(app, key, resolved.weights), *resolved.route.backups)))


def split_key(resolved: ResolvedRoute, job: str, instance: str) -> str:
    """Return what a split keeps together: the job's id or, under `sticky: instance`, the run's; if empty, the other."""
    return (instance or job) if resolved.route.sticky is Sticky.INSTANCE else (job or instance)


def serving_datacenter(
    resolved: ResolvedRoute, order: Sequence[str], where: CandidateLocations
) -> tuple[str, Reason] | None:
    """Return the datacenter of the order that serves, and why, or None."""
    some = None
    patience = resolved.route.failover
    patient = patience is not None and patience.after_ns > 0
    preferred = order
    if resolved.failed_over and patience is not None and patience.keeps_away:
        preferred = sorted(order, key=resolved.failed_over.__contains__)
    for datacenter in preferred:
        if datacenter in resolved.out:
            continue
        count = len(where.at(datacenter))
        if count and patient and count < resolved.route.min_workers and datacenter not in resolved.failed_over:
            return datacenter, Reason.DEGRADED
        if count >= resolved.route.min_workers:
            if datacenter != order[0]:
                return datacenter, Reason.FAILOVER
            return datacenter, Reason.ACTIVE if isinstance(resolved.route.selector, Active) else Reason.SPLIT
        if count and some is None:
            some = datacenter
    return None if some is None else (some, Reason.DEGRADED)


def _seen(
    state: State, resolved: ResolvedRoute, scope: Scope, order: Sequence[str], where: CandidateLocations, serving: str
) -> Observation:
    """Return what a decision showed of the datacenters that it came past, and of those that work has left.

    What a mark or a drill has taken out is neither well nor at fault.
    """
    faults = {}
    well = []
    passed = False
    for name in order:
        if (not passed or name in resolved.failed_over) and (
            why := _order_or_fault(state, resolved, name, where)
        ) is not None:
            if why:
                faults[name] = why
            else:
                well.append(name)
        passed = passed or name == serving
    return Observation(scope, faults, tuple(well))


def _order_or_fault(state: State, resolved: ResolvedRoute, name: str, where: CandidateLocations) -> str | None:
    """Return why a datacenter could not serve, "" if it could, None if an order keeps it from serving."""
    probes = state.unhealthy.get(name)
    if name in resolved.out and resolved.out[name] != probes:
        return None
    if probes:
        return probes
    count = len(where.at(name))
    if count >= resolved.route.min_workers:
        return ""
    return f"{count} of {resolved.route.min_workers} workers" if count else "no workers"
