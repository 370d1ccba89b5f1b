"""Which datacenters work has left after faults, and when it returns: a pure state machine that damps flapping.

Only applications that the document names and whose route has a `failover` key have one, and only for faults: marks and
drills are orders, which act at once. Its input are the observations of dispatches, in their order, and the time. One
request moves nothing: a fault and a recovery each need evidence, `observations` of different requests over a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from sidecar.routing.model import FailBack, Failover, RoutingDocument
from sidecar.routing.outage import Fault, Outage, OutageKind, Outages

Scope = tuple[str, str]
"""The scope that fails over as one: an application, and a job where the document has a route for it, else "". """

Key = tuple[Scope, str]
"""A scope, and a datacenter of its route."""

Checkpoint = Callable[[], None]

MAX_STATES = 20_000
"""Bound of the datacenters remembered over all scopes."""

MIN_EVIDENCE_NS = 10**9
"""For this long evidence must last, also where `after` or `back_after` is shorter."""

# The time changes states in steps: one for each of many applications would make as many States.
_STEP_NS = 10**9 // 4


class Phase(Enum):
    """Where a datacenter stands that is not simply well."""

    FAILING = "faults are observed, not yet enough or not yet for long enough"
    FAILED = "work has left it"
    RETURNING = "it is observed well again, not yet enough or not yet for long enough"


@dataclass(frozen=True, slots=True)
class FailoverState:
    """A datacenter's phase for a scope since `since_ns`; work left it at `failed_ns` because of `fault`."""

    phase: Phase
    since_ns: int
    failed_ns: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Observation:
    """The observation of one decision: the faults of datacenters that could not serve, and the datacenters that could.

    `request` is equal for requests that are one piece of evidence: those of one run of a job.
    """

    scope: Scope
    faults: Mapping[str, Fault]
    well: tuple[str, ...]
    request: int = 0


FailoverStates = Mapping[Key, FailoverState]


@dataclass(frozen=True, slots=True, eq=False)
class Failovers:
    """The failover states of all scopes, and what follows from them; immutable, and made from the one before in steps.

    `evidence` are the requests that showed the fault of a FAILING datacenter, or the recovery of a RETURNING one, as
    many of them as are needed. `failed_over` are the outages of the datacenters that work has left, by scope. `due_ns`
    is the earliest time at which the time alone changes a state, None if it never does.
    """

    states: FailoverStates = field(default_factory=dict)
    evidence: Mapping[Key, frozenset[int]] = field(default_factory=dict)
    failed_over: Mapping[Scope, Outages] = field(default_factory=dict)
    due_ns: int | None = None


NONE = Failovers()


def failovers(states: FailoverStates) -> Failovers:
    """Return the failovers with these states, before any evidence; `revise` makes them those of a document."""
    return Failovers(states, {}, failed_over(states)) if states else NONE


def apply(
    before: Failovers,
    observations: Iterable[Observation],
    document: RoutingDocument,
    now_ns: int,
    checkpoint: Checkpoint = lambda: None,
) -> Failovers:
    """Return the failovers after some decisions, applied in order; the same object where nothing changed.

    The maps are copied at most once; each observation costs the same, however many states there are.
    """
    draft = _Draft(before)
    for observation in observations:
        checkpoint()
        rule = _rule(document, observation.scope)
        if rule is not None:
            draft.observe(observation, rule, now_ns)
    return draft.done()


def advance(
    before: Failovers, document: RoutingDocument, now_ns: int, checkpoint: Checkpoint = lambda: None
) -> Failovers:
    """Return the failovers as the time has them now; the same object where nothing changed, at once if none is due."""
    if before.due_ns is None or now_ns < before.due_ns:
        return before
    return _revised(before, before.evidence, document, now_ns, checkpoint)


def revise(
    before: Failovers, document: RoutingDocument, now_ns: int, checkpoint: Checkpoint = lambda: None
) -> Failovers:
    """Return the failovers under another document; the same object where nothing changed."""
    return _revised(before, tuple(before.states), document, now_ns, checkpoint)


def _revised(
    before: Failovers, keys: Iterable[Key], document: RoutingDocument, now_ns: int, checkpoint: Checkpoint
) -> Failovers:
    """Return the failovers with some of their states as time and document have them now."""
    draft = _Draft(before)
    due: list[int] = []
    for key in tuple(keys):
        checkpoint()
        known = draft.states[key]
        rule = _rule(document, key[0])
        if rule is None or key[1] not in document.route(*key[0]).names or _failed_back(rule, known):
            draft.forget(key)
            continue
        if known.phase is Phase.RETURNING and rule.back is FailBack.MANUAL:
            draft.put(key, replace(known, phase=Phase.FAILED, since_ns=now_ns))
            continue
        at_ns = _due_ns(rule, known, len(draft.evidence.get(key, ())))
        if at_ns is None:
            continue
        if now_ns < at_ns:
            due.append(at_ns)
        elif known.phase is Phase.FAILING and (rule.failed_back_ns is None or rule.failed_back_ns < now_ns):
            draft.put(key, replace(known, phase=Phase.FAILED, since_ns=now_ns, failed_ns=now_ns))
        else:
            draft.forget(key)
    draft.due_ns = None if not due else -(-min(due) // _STEP_NS) * _STEP_NS
    return draft.done()


def _rule(document: RoutingDocument, scope: Scope) -> Failover | None:
    """Return the `failover` key of a scope's route; None also where the document does not name the scope."""
    app, job = scope
    application = document.apps.get(app)
    if application is None:
        return None
    route = application.jobs.get(job) if job else application.route
    return None if route is None else route.failover


def _due_ns(rule: Failover, known: FailoverState, evidence: int) -> int | None:
    """Return when the time alone changes a state, None while it lacks evidence, or never."""
    if known.phase is Phase.FAILED or evidence < rule.observations:
        return None
    lasts_ns = rule.after_ns if known.phase is Phase.FAILING else rule.back_after_ns
    return known.since_ns + max(lasts_ns, MIN_EVIDENCE_NS)


def _failed_back(rule: Failover, known: FailoverState) -> bool:
    return (
        known.phase is not Phase.FAILING and rule.failed_back_ns is not None and rule.failed_back_ns >= known.failed_ns
    )


class _Draft:
    """Failovers that are changed in place; each map is copied once."""

    def __init__(self, before: Failovers) -> None:
        self._before = before
        self.states = dict(before.states)
        self.evidence = dict(before.evidence)
        self._failed_over: dict[Scope, Outages] | None = None
        self._changed = False
        self._moved = False
        self.due_ns = before.due_ns

    def done(self) -> Failovers:
        """Return the failovers; the same object as before where nothing changed."""
        before = self._before
        if not self._changed:
            return before if self.due_ns == before.due_ns else replace(before, due_ns=self.due_ns)
        failed_over = before.failed_over if self._failed_over is None else self._failed_over
        return Failovers(self.states if self._moved else before.states, self.evidence, failed_over, self.due_ns)

    def observe(self, observation: Observation, rule: Failover, now_ns: int) -> None:
        """Apply one observation."""
        for name, fault in observation.faults.items():
            key = observation.scope, name
            known = self.states.get(key)
            if known is None:
                if len(self.states) < MAX_STATES:
                    self.put(key, FailoverState(Phase.FAILING, now_ns, now_ns, fault))
                    self._witness(key, observation.request, rule)
            elif known.phase is Phase.FAILING:
                self._witness(key, observation.request, rule)
            elif known.phase is Phase.RETURNING:
                self.put(key, replace(known, phase=Phase.FAILED, since_ns=now_ns))
        for name in observation.well:
            key = observation.scope, name
            known = self.states.get(key)
            if known is None:
                continue
            if known.phase is Phase.FAILING:
                self.forget(key)
            elif rule.back is FailBack.AUTO:
                if known.phase is Phase.FAILED:
                    self.put(key, replace(known, phase=Phase.RETURNING, since_ns=now_ns))
                self._witness(key, observation.request, rule)

    def put(self, key: Key, state: FailoverState) -> None:
        """Set a state; the evidence for the phase before does not count for it."""
        self.states[key] = state
        self.evidence.pop(key, None)
        self._changed = self._moved = True
        self._show(key, state)

    def forget(self, key: Key) -> None:
        """Remove a state: the datacenter is simply well."""
        del self.states[key]
        self.evidence.pop(key, None)
        self._changed = self._moved = True
        self._show(key, None)

    def _witness(self, key: Key, request: int, rule: Failover) -> None:
        known = self.evidence.get(key, frozenset())
        if request in known or len(known) >= rule.observations:
            return
        self.evidence[key] = known | {request}
        self._changed = True
        at_ns = _due_ns(rule, self.states[key], len(known) + 1)
        if at_ns is not None:
            at_ns = -(-at_ns // _STEP_NS) * _STEP_NS
            self.due_ns = at_ns if self.due_ns is None else min(self.due_ns, at_ns)

    def _show(self, key: Key, state: FailoverState | None) -> None:
        """Bring `failed_over` up to date."""
        scope, name = key
        now = self._before.failed_over if self._failed_over is None else self._failed_over
        outage = None if state is None else _outage(state)
        outages = now.get(scope, {})
        if outages.get(name) == outage:
            return
        if self._failed_over is None:
            self._failed_over = dict(now)
        changed = {other: known for other, known in outages.items() if other != name}
        if outage is not None:
            changed[name] = outage
        if changed:
            self._failed_over[scope] = changed
        else:
            self._failed_over.pop(scope, None)


def remembered(states: FailoverStates) -> FailoverStates:
    """Return the states that outlive a restart: datacenters that work has left, until well for `back_after` again."""
    return {
        key: replace(known, phase=Phase.FAILED, since_ns=known.failed_ns)
        for key, known in states.items()
        if known.phase is not Phase.FAILING
    }


def failed_over(states: FailoverStates) -> Mapping[Scope, Outages]:
    """Return the outages of the datacenters that work has left, for each scope."""
    found: dict[Scope, dict[str, Outage]] = {}
    for (scope, name), known in states.items():
        outage = _outage(known)
        if outage is not None:
            found.setdefault(scope, {})[name] = outage
    return found


def _outage(state: FailoverState) -> Outage | None:
    if state.phase is Phase.FAILING:
        return None
    return Outage(OutageKind.FAILED_OVER, since_ns=state.failed_ns, fault=state.fault)
