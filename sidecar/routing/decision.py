"""Decides which of the candidates may run a job now, and why (docs/decision-rules.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sidecar.routing.failover import Observation, Scope
from sidecar.routing.location import Candidate, CandidateLocations
from sidecar.routing.model import Active, OnEmpty, Sticky
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, OutageKind
from sidecar.routing.rendezvous import preference
from sidecar.routing.state import ResolvedRoute, State


class Reason(IntEnum):
    """The reason of a decision; names and numbers are those of the API's `Reason`."""

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

    `observation` is what it showed of a route with a `failover` key, None for other routes. `for_instance` is True
    where another instance of the same job may get another decision.
    """

    indices: Sequence[int]
    datacenter: str
    reason: Reason
    observation: Observation | None = None
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

    `app` and `aliases` are the names of the application: the document may use any of them, and the scores are always
    taken over `app`. Any text is a valid name here; any number of candidates, also none, is answered.
    """
    return decide_among(state, app, job, instance, state.locator.locate_all(candidates), aliases)


def decide_among(
    state: State, app: str, job: str, instance: str, where: CandidateLocations, aliases: tuple[str, ...] = ()
) -> Decision:
    """Decide as `decide` does, for candidates that are located already, under the same document."""
    names = (app, *aliases)
    named = state.application(names)
    resolved = state.resolve(names, named, job)
    if resolved.route.selector is None:
        return Decision(where.present, "", Reason.UNROUTED)
    order = order_of(resolved, app, job, instance)
    for_instance = resolved.order is None and instance != "" and (resolved.route.sticky is Sticky.INSTANCE or not job)
    serving = serving_datacenter(resolved, order, where)
    observation = None
    if resolved.route.failover is not None:
        scope = state.scope(named, job)
        observation = _observation(state, resolved, scope, order, where, serving[0] if serving else "")
    if serving is None:
        if resolved.route.on_empty is OnEmpty.ANY:
            in_service = [index for index in where.present if where.datacenters[index] not in resolved.out]
            if in_service:
                return Decision(in_service, "", Reason.ANY, observation)
        return Decision((), "", Reason.NO_WORKERS, observation)
    datacenter, reason = serving
    return Decision(where.at(datacenter), datacenter, reason, observation, for_instance)


def order_of(resolved: ResolvedRoute, app: str, job: str, instance: str) -> Sequence[str]:
    """Return a route's datacenters for one job or instance, the most preferred first, each once.

    `app` is the request's, whichever of its names the document uses: an edit that names an application moves no job.
    """
    if resolved.order is not None:
        return resolved.order
    key = split_key(resolved, job, instance)
    return tuple(dict.fromkeys((*preference(app, key, resolved.weights), *resolved.route.backups)))


def split_key(resolved: ResolvedRoute, job: str, instance: str) -> str:
    """Return the key of a split: the job's id or, under `sticky: instance`, the run's; if empty, the other."""
    return (instance or job) if resolved.route.sticky is Sticky.INSTANCE else (job or instance)


def serving_datacenter(
    resolved: ResolvedRoute, order: Sequence[str], where: CandidateLocations
) -> tuple[str, Reason] | None:
    """Return the datacenter of the order that serves, with the reason, or None."""
    some = None
    failover = resolved.route.failover
    patient = failover is not None and failover.after_ns > 0
    preferred = order
    if resolved.failed_over and failover is not None and failover.keeps_away:
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


def _observation(
    state: State, resolved: ResolvedRoute, scope: Scope, order: Sequence[str], where: CandidateLocations, serving: str
) -> Observation:
    """Return the state of the datacenters up to the one that serves, and of those that work has left.

    A datacenter that a mark or a drill has taken out is neither well nor at fault.
    """
    faults = {}
    well = []
    passed = False
    for name in order:
        outage = resolved.out.get(name)
        ordered = outage is not None and outage.kind is not OutageKind.UNHEALTHY
        if not ordered and (not passed or name in resolved.failed_over):
            fault = _fault(state, resolved, name, where)
            if fault is None:
                well.append(name)
            else:
                faults[name] = fault
        passed = passed or name == serving
    return Observation(scope, faults, tuple(well))


def _fault(state: State, resolved: ResolvedRoute, name: str, where: CandidateLocations) -> Fault | None:
    """Return why a datacenter could not serve, None if it could."""
    unhealthy = state.unhealthy.get(name)
    if unhealthy is not None:
        return unhealthy.fault
    workers, needed = len(where.at(name)), resolved.route.min_workers
    if workers >= needed:
        return None
    return Fault(FaultKind.TOO_FEW_WORKERS, workers=workers, needed=needed) if workers else NO_WORKERS
