"""Which datacenters work has left, and when it returns: a pure state machine, so that what flaps makes nothing hop.

Only routes with a `failover` key have one, and only for faults: marks and drills are orders, which act at once. What
it is told are the decisions made (`Observation`), in their order, and the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from sidecar.routing.model import FailBack, Failover, RoutingDocument

Scope = tuple[str, str]
"""Whose failover it is: an application, and a job where the document has a route for it, else "". """

MAX_STATES = 20_000
"""Datacenters of scopes that are remembered; names of applications come from requests, and must not fill the memory."""


class Phase(Enum):
    """Where a datacenter stands that is not simply well."""

    FAILING = "faults are seen, not yet for long enough"
    FAILED = "work has left it"
    RETURNING = "it is seen well again, not yet for long enough"


@dataclass(frozen=True, slots=True)
class FailoverState:
    """How a datacenter stands for a scope: its phase since `since_ns`; work left it at `failed_ns` for `why`."""

    phase: Phase
    since_ns: int
    failed_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What one decision showed: datacenters that could not serve, with the reasons, and those that could."""

    scope: Scope
    faults: Mapping[str, str]
    well: tuple[str, ...]


FailoverStates = Mapping[tuple[Scope, str], FailoverState]

NONE: FailoverStates = {}


def apply(failover_states: FailoverStates, seen: Observation, document: RoutingDocument, now_ns: int) -> FailoverStates:
    """Return the standings after a decision; the same object where nothing has changed."""
    failover = document.route(*seen.scope).failover
    if failover is None:
        return failover_states
    after = dict(failover_states)
    for name, why in seen.faults.items():
        known = after.get((seen.scope, name))
        if known is None and len(after) < MAX_STATES:
            phase = Phase.FAILING if failover.after_ns else Phase.FAILED
            after[seen.scope, name] = FailoverState(phase, now_ns, now_ns, why)
        elif known is not None and known.phase is Phase.RETURNING:
            after[seen.scope, name] = replace(known, phase=Phase.FAILED, since_ns=now_ns)
    for name in seen.well:
        known = after.get((seen.scope, name))
        if known is None:
            continue
        if known.phase is Phase.FAILING:
            del after[seen.scope, name]
        elif known.phase is Phase.FAILED and failover.back is FailBack.AUTO:
            if failover.back_after_ns:
                after[seen.scope, name] = replace(known, phase=Phase.RETURNING, since_ns=now_ns)
            else:
                del after[seen.scope, name]
    return failover_states if after == failover_states else after


def advance(failover_states: FailoverStates, document: RoutingDocument, now_ns: int) -> FailoverStates:
    """Return the standings as the time and the document have them now; the same object where nothing has changed."""
    after = {}
    for key, standing in failover_states.items():
        moved = _advanced(key, standing, document, now_ns)
        if moved is not None:
            after[key] = moved
    return failover_states if after == failover_states else after


def _advanced(
    key: tuple[Scope, str], standing: FailoverState, document: RoutingDocument, now_ns: int
) -> FailoverState | None:
    scope, name = key
    route = document.route(*scope)
    rule = route.failover
    if rule is None or name not in route.names or (scope[1] and not document.names_job(*scope)):
        return None
    # A clock that was set back must not keep it for longer than the document says.
    lasted = max(0, now_ns - standing.since_ns)
    match standing.phase:
        case Phase.FAILING if lasted >= rule.after_ns:
            return replace(standing, phase=Phase.FAILED, since_ns=now_ns, failed_ns=now_ns)
        case Phase.FAILED | Phase.RETURNING if _sent_back(rule, standing):
            return None
        case Phase.RETURNING if rule.back is FailBack.MANUAL:
            return replace(standing, phase=Phase.FAILED, since_ns=now_ns)
        case Phase.RETURNING if lasted >= rule.back_after_ns:
            return None
    return standing


def _sent_back(rule: Failover, standing: FailoverState) -> bool:
    return rule.failed_back_ns is not None and rule.failed_back_ns >= standing.failed_ns


def remembered(failover_states: FailoverStates) -> FailoverStates:
    """Return what outlives a restart: whatever work has left; it must be seen well anew for all of `back_after`."""
    return {
        key: replace(standing, phase=Phase.FAILED, since_ns=standing.failed_ns)
        for key, standing in failover_states.items()
        if standing.phase is not Phase.FAILING
    }


def failed_over(failover_states: FailoverStates, told: Callable[[int], str]) -> Mapping[Scope, Mapping[str, str]]:
    """Return the datacenters that work has left, for each scope, and since when and why in words."""
    found: dict[Scope, dict[str, str]] = {}
    for (scope, name), standing in failover_states.items():
        if standing.phase is not Phase.FAILING:
            found.setdefault(scope, {})[name] = f"failed over: {standing.why}, since {told(standing.failed_ns)}"
    return found
