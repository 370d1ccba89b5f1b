"""Which datacenters work has left after faults, and when it returns: a pure state machine that damps flapping.

Only routes with a `failover` key have one, and only for faults: marks and drills are orders, which act at once. Its
input are the observations of decisions, in their order, and the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from sidecar.routing.model import FailBack, Failover, RoutingDocument
from sidecar.routing.outage import Fault, Outage, OutageKind, Outages

Scope = tuple[str, str]
"""What fails over as one: an application, and a job where the document has a route for it, else "". """

MAX_STATES = 20_000
"""Bound of the datacenters remembered over all scopes: applications' names come from requests."""


class Phase(Enum):
    """Where a datacenter stands that is not simply well."""

    FAILING = "faults are observed, not yet for long enough"
    FAILED = "work has left it"
    RETURNING = "it is observed well again, not yet for long enough"


@dataclass(frozen=True, slots=True)
class FailoverState:
    """A datacenter's phase for a scope since `since_ns`; work left it at `failed_ns` because of `fault`."""

    phase: Phase
    since_ns: int
    failed_ns: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Observation:
    """What one decision showed: the faults of datacenters that could not serve, and the datacenters that could."""

    scope: Scope
    faults: Mapping[str, Fault]
    well: tuple[str, ...]


FailoverStates = Mapping[tuple[Scope, str], FailoverState]

NONE: FailoverStates = {}


def apply(
    failover_states: FailoverStates, observations: Iterable[Observation], document: RoutingDocument, now_ns: int
) -> FailoverStates:
    """Return the states after some decisions, applied in order to one copy; the same object where nothing changed."""
    after = dict(failover_states)
    changed = False
    for observation in observations:
        failover = document.route(*observation.scope).failover
        if failover is not None:
            changed |= _observe(after, observation, failover, now_ns)
    return after if changed and after != failover_states else failover_states


def _observe(
    after: dict[tuple[Scope, str], FailoverState], observation: Observation, failover: Failover, now_ns: int
) -> bool:
    """Apply one observation in place; return whether it may have changed something."""
    changed = False
    for name, fault in observation.faults.items():
        key = observation.scope, name
        known = after.get(key)
        if known is None and len(after) < MAX_STATES:
            phase = Phase.FAILING if failover.after_ns else Phase.FAILED
            after[key] = FailoverState(phase, now_ns, now_ns, fault)
            changed = True
        elif known is not None and known.phase is Phase.RETURNING:
            after[key] = replace(known, phase=Phase.FAILED, since_ns=now_ns)
            changed = True
    for name in observation.well:
        key = observation.scope, name
        known = after.get(key)
        if known is None:
            continue
        if known.phase is Phase.FAILED and failover.back is FailBack.AUTO and failover.back_after_ns:
            after[key] = replace(known, phase=Phase.RETURNING, since_ns=now_ns)
            changed = True
        elif known.phase is Phase.FAILING or (known.phase is Phase.FAILED and failover.back is FailBack.AUTO):
            del after[key]
            changed = True
    return changed


def advance(failover_states: FailoverStates, document: RoutingDocument, now_ns: int) -> FailoverStates:
    """Return the states as the time and the document have them now; the same object where nothing changed."""
    after = {}
    for key, known in failover_states.items():
        advanced = _advanced(key, known, document, now_ns)
        if advanced is not None:
            after[key] = advanced
    return failover_states if after == failover_states else after


def _advanced(
    key: tuple[Scope, str], known: FailoverState, document: RoutingDocument, now_ns: int
) -> FailoverState | None:
    scope, name = key
    route = document.route(*scope)
    failover = route.failover
    if failover is None or name not in route.names or (scope[1] and not document.names_job(*scope)):
        return None
    # A clock that was set back must not keep it for longer than the document says.
    lasted = max(0, now_ns - known.since_ns)
    match known.phase:
        case Phase.FAILING if lasted >= failover.after_ns:
            return replace(known, phase=Phase.FAILED, since_ns=now_ns, failed_ns=now_ns)
        case Phase.FAILED | Phase.RETURNING if _failed_back(failover, known):
            return None
        case Phase.RETURNING if failover.back is FailBack.MANUAL:
            return replace(known, phase=Phase.FAILED, since_ns=now_ns)
        case Phase.RETURNING if lasted >= failover.back_after_ns:
            return None
    return known


def _failed_back(failover: Failover, known: FailoverState) -> bool:
    return failover.failed_back_ns is not None and failover.failed_back_ns >= known.failed_ns


def timed(failover_states: FailoverStates) -> bool:
    """Return whether the time alone may change one of the states."""
    return any(known.phase is not Phase.FAILED for known in failover_states.values())


def remembered(failover_states: FailoverStates) -> FailoverStates:
    """Return what outlives a restart: the datacenters that work has left, to be observed well anew for `back_after`."""
    return {
        key: replace(known, phase=Phase.FAILED, since_ns=known.failed_ns)
        for key, known in failover_states.items()
        if known.phase is not Phase.FAILING
    }


def failed_over(failover_states: FailoverStates) -> Mapping[Scope, Outages]:
    """Return the outages of the datacenters that work has left, for each scope."""
    found: dict[Scope, dict[str, Outage]] = {}
    for (scope, name), known in failover_states.items():
        if known.phase is not Phase.FAILING:
            outage = Outage(OutageKind.FAILED_OVER, since_ns=known.failed_ns, fault=known.fault)
            found.setdefault(scope, {})[name] = outage
    return found
