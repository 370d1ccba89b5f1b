from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.errors import DocumentRejected
from sidecar.routing.changes import changes
from sidecar.routing.decision import Decision, Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.explain import explain
from sidecar.routing.explain_wording import key_text, outcome_text, verdict_text
from sidecar.routing.failover import (
    MIN_EVIDENCE_NS,
    NONE,
    Failovers,
    FailoverState,
    Observation,
    Phase,
    advance,
    apply,
    failovers,
    remembered,
    revise,
)
from sidecar.routing.model import FailBack, Failover, RoutingDocument
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, Outage, OutageKind, ProbeFailure, unhealthy
from sidecar.routing.state import State
from sidecar.routing.wording import change_text
from sidecar.yaml_reader import read
from tests.timing import cpu_seconds

S = 10**9
SCOPE = ("billing", "")
DC1 = (SCOPE, "dc1")


def document(failover: str, rest: str = "apps: {billing: {}, other: {}}") -> RoutingDocument:
    """Return a document whose named applications fail over in this way."""
    text = f"default: {{active: dc1, backups: [dc2, dc3], min_workers: 2, failover: {failover}}}\n{rest}"
    return parse_document(text.encode())


@dataclass(frozen=True)
class Worker:
    datacenter: str
    address: str = ""
    metrics: str = ""
    tag: str = ""


def workers(counts: Mapping[str, int]) -> list[Worker]:
    """Return candidates, so many in each datacenter."""
    return [Worker(name) for name, count in counts.items() for _ in range(count)]


def decided(state: State, counts: Mapping[str, int], app: str = "billing", job: str = "7") -> Decision:
    """Return the decision for a job among so many candidates in each datacenter."""
    return decide(state, app, job, "", workers(counts))


ILL = Observation(SCOPE, {"dc1": NO_WORKERS}, ("dc2",))
WELL = Observation(SCOPE, {}, ("dc1",))
REFUSED = Fault(FaultKind.PROBES, probes=(ProbeFailure("tcp gw:1", "refused"),), since_ns=S)
GONE = Outage(OutageKind.FAILED_OVER, fault=NO_WORKERS)


def seen(observation: Observation, *requests: int) -> list[Observation]:
    """Return what several requests observed."""
    return [replace(observation, request=request) for request in requests]


def played(failover: str, events: str) -> str:
    """Return dc1's phase after events, a second each.

    I: three requests see it ill, W: well. i, w: a single one does, not the same. r: the same one sees it ill again.
    Anything else is time.
    """
    routes = document(failover)
    now = NONE
    for second, event in enumerate(events):
        requests = range(10 * second, 10 * second + 3) if event in "IW" else [7] if event == "r" else [10 * second]
        if event in "IWiwr":
            now = apply(now, seen(WELL if event in "Ww" else ILL, *requests), routes, second * S)
        now = advance(now, routes, second * S)
    known = now.states.get(DC1)
    return "WELL" if known is None else known.phase.name


@pytest.mark.parametrize(
    ("failover", "events", "phase"),
    [
        # At once, both ways, is what routes do without the key: nothing is to be remembered.
        ("{}", "III", "WELL"),
        # `after`: the fault must last; one good sign begins anew.
        ("{after: 3s}", "I", "FAILING"),
        ("{after: 3s}", "I..", "FAILING"),
        ("{after: 3s}", "I...", "FAILED"),
        ("{after: 3s}", "IIII", "FAILED"),
        ("{after: 3s}", "Iw", "WELL"),
        ("{after: 3s}", "IIwII", "FAILING"),
        ("{after: 3s}", "II.wIIII", "FAILED"),
        # `back_after`: it must be over for so long; one bad sign begins anew.
        ("{back_after: 3s}", "I.W", "RETURNING"),
        ("{back_after: 3s}", "I.W..", "RETURNING"),
        ("{back_after: 3s}", "I.W...", "WELL"),
        ("{back_after: 3s}", "I.WWi", "FAILED"),
        ("{back_after: 3s}", "I.WWIWW.", "RETURNING"),
        ("{back_after: 3s}", "I......", "FAILED"),
        # By hand: however well it looks.
        ("{back: manual}", "I.WWWWWWWWWWW", "FAILED"),
        ("{after: 2s, back: manual}", "IWIWIWIW", "WELL"),
        # Sent back by hand: what it had left before then (here the end of the first second), it has not left any more.
        ('{back: manual, failed_back: "1970-01-01T00:00:01Z"}', "I.", "WELL"),
        ('{back: manual, failed_back: "1970-01-01T00:00:01Z"}', "..I.", "FAILED"),
        # Evidence: a request, or the same one again and again, is none, however long it lasts.
        ("{back: manual}", "i............", "FAILING"),
        ("{back: manual}", "rrrrrrrrrrrrr", "FAILING"),
        ("{back: manual}", "rrri", "FAILING"),
        ("{back: manual}", "rii", "FAILED"),
        ("{back: manual}", "iiwii....", "FAILING"),
        ("{back_after: 1s}", "I.wr.......", "FAILED"),
        ("{back_after: 1s}", "I.ww.......", "RETURNING"),
        ("{back_after: 1s}", "I.www", "WELL"),
        # For a second at least, however many requests there are.
        ("{back: manual}", "I", "FAILING"),
        ("{back: manual}", "I.", "FAILED"),
        # As many as the document says.
        ("{back: manual, observations: 1}", "i.", "FAILED"),
        ("{back: manual, observations: 5}", "I....", "FAILING"),
        ("{back: manual, observations: 5}", "Ii.i.", "FAILED"),
    ],
)
def test_what_comes_of_what_is_seen(failover: str, events: str, phase: str) -> None:
    """Faults and wellness count when enough requests show them, without a break, for what the document says."""
    assert played(failover, events) == phase


def failed(routes: RoutingDocument, now_ns: int = 0) -> Failovers:
    """Return failovers in which billing's work has left dc1 at a time."""
    found = apply(NONE, seen(ILL, 1, 2, 3), routes, now_ns - S)
    found = advance(found, routes, now_ns)
    assert found.states[DC1].phase is Phase.FAILED
    return found


def test_a_new_document_is_obeyed() -> None:
    """Without the key, or where the datacenter is not on the route any more, nothing is remembered."""
    routes = document("{back: manual}")
    left = failed(routes)
    assert advance(left, routes, S) is left
    assert revise(left, routes, S) is left
    apps = b"apps: {billing: {}}"
    for text in (b"dc1", b"default: dc1\n" + apps, b"default: {active: dc2, failover: {back: manual}}\n" + apps):
        assert revise(left, parse_document(text), S).states == {}
    slow = document("{back_after: 1m}")
    returning = apply(failed(slow), seen(WELL, 4, 5, 6), slow, S)
    assert revise(returning, document("{back_after: 1s}"), 2 * S).states == {}
    assert revise(returning, document("{back: manual}"), 2 * S).states[DC1].phase is Phase.FAILED
    assert apply(NONE, [ILL], parse_document(b"dc1"), 0) is NONE
    sent_back = document('{back: manual, failed_back: "1970-01-01T00:00:01Z"}')
    assert revise(left, sent_back, 2 * S).failed_over == {}


def test_a_job_of_its_own_has_its_own_failover() -> None:
    """A job with a route of its own is a scope of its own, for as long as the document names it."""
    routes = document("{back_after: 1m}", 'apps: {billing: {jobs: {"7": dc2}}}')
    state = State(routes, 1, 0)
    assert (state.scope("billing", "7"), state.scope("billing", "8")) == (("billing", "7"), ("billing", ""))
    failing = apply(NONE, [Observation(("billing", "7"), {"dc2": NO_WORKERS}, ())], routes, 0)
    assert failing.states.keys() == {(("billing", "7"), "dc2")}
    assert advance(failing, routes, S) is failing
    assert revise(failing, document("{back_after: 1m}"), S).states == {}


def test_a_clock_that_goes_back_keeps_nothing_for_longer_than_the_rule_says() -> None:
    """Nothing happens early, and after the time from then on it does."""
    routes = document("{back_after: 10s}")
    returning = apply(failed(routes, 90 * S), seen(WELL, 4, 5, 6), routes, 100 * S)
    assert advance(returning, routes, 20 * S) is returning
    assert advance(returning, routes, 110 * S).states == {}


def test_names_that_the_document_does_not_have_are_not_kept() -> None:
    """Anybody can make up names: of those nothing is remembered, and their default route acts at once."""
    routes = document("{back: manual}")
    assert apply(NONE, [Observation(("made-up", ""), {"dc1": NO_WORKERS}, ())], routes, 0) is NONE
    assert apply(NONE, [Observation(("billing", "made-up"), {"dc1": NO_WORKERS}, ())], routes, 0) is NONE
    assert decided(State(routes, 1, 0), {"dc2": 2}, app="made-up").observation is None
    assert decided(State(routes, 1, 0), {"dc1": 1, "dc2": 2}, app="made-up").datacenter == "dc2"


def test_the_states_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound no more is remembered; what is remembered stays, and can be contradicted."""
    monkeypatch.setattr("sidecar.routing.failover.MAX_STATES", 2)
    routes = document("{back_after: 1m}", "apps: {a: {}, b: {}, c: {}}")
    now = NONE
    for app in "abc":
        now = apply(now, [Observation((app, ""), {"dc1": NO_WORKERS}, ())], routes, 0)
    assert [scope for scope, _ in now.states] == [("a", ""), ("b", "")]
    assert apply(now, [Observation(("a", ""), {}, ("dc1",))], routes, 0).states.keys() == {(("b", ""), "dc1")}


def test_a_batch_of_observations_is_applied_in_order_to_one_copy() -> None:
    """Many observations lead where they would one by one; those that change nothing leave the same object."""
    routes = document("{after: 1m, back_after: 1m}")
    batch = [ILL, Observation(("other", ""), {"dc1": NO_WORKERS}, ()), WELL, ILL]
    one_by_one = NONE
    for observation in batch:
        one_by_one = apply(one_by_one, [observation], routes, S)
    at_once = apply(NONE, batch, routes, S)
    assert at_once.states == one_by_one.states
    assert at_once.evidence == one_by_one.evidence
    assert one_by_one.states.keys() == {DC1, (("other", ""), "dc1")}
    assert apply(one_by_one, [ILL, Observation(("other", ""), {}, ("dc2",))], routes, 2 * S) is one_by_one


def test_more_evidence_makes_no_other_states() -> None:
    """What only adds to the evidence keeps the states the same object, and so the State that decides."""
    routes = document("{after: 1m}")
    first = apply(NONE, seen(ILL, 1), routes, 0)
    second = apply(first, seen(ILL, 2), routes, S)
    assert second is not first
    assert second.states is first.states


def test_the_outages_are_those_of_the_states() -> None:
    """The outages that are kept beside the states are what the states alone would give."""
    routes = document("{back_after: 1m}")
    both = seen(Observation(SCOPE, {"dc1": NO_WORKERS, "dc2": NO_WORKERS}, ()), 1, 2, 3)
    left = advance(apply(NONE, both, routes, 0), routes, S)
    assert left.failed_over == failovers(left.states).failed_over
    assert left.failed_over[SCOPE].keys() == {"dc1", "dc2"}
    half = advance(apply(left, seen(Observation(SCOPE, {}, ("dc2",)), 4, 5, 6), routes, 2 * S), routes, 62 * S)
    assert half.failed_over == failovers(half.states).failed_over
    assert half.failed_over[SCOPE].keys() == {"dc1"}


@pytest.mark.no_cover
def test_an_observation_costs_the_same_among_many_applications() -> None:
    """Of a batch of thousands each is applied to one draft: nothing is copied per observation."""
    names = [f"app-{number}" for number in range(5000)]
    routes = document("{back_after: 1m}", "apps:\n" + "".join(f"  {name}: {{}}\n" for name in names))
    batch = [Observation((name, ""), {"dc1": NO_WORKERS}, (), n) for n in range(3) for name in names]
    seen_once = apply(NONE, batch[:5000], routes, 0)
    few = cpu_seconds(lambda: apply(NONE, batch[:5000], routes, 0))
    many = cpu_seconds(lambda: advance(apply(seen_once, batch[5000:], routes, S), routes, S))
    assert len(advance(apply(seen_once, batch[5000:], routes, S), routes, S).failed_over) == 5000
    # A copy of 5,000 states for each of 10,000 observations would take half a minute.
    assert many < 50 * few


def test_only_what_has_its_evidence_waits_for_the_clock() -> None:
    """The time alone changes no state that lacks evidence, nor one that work has left."""
    routes = document("{after: 10s}")
    assert apply(NONE, seen(ILL, 1, 2), routes, 0).due_ns is None
    waiting = apply(NONE, seen(ILL, 1, 2, 3), routes, 0)
    assert waiting.due_ns == 10 * S
    assert advance(waiting, routes, 9 * S) is waiting
    assert advance(waiting, routes, 10 * S).due_ns is None
    # Others' times are kept when one is over.
    later = apply(waiting, [replace(each, scope=("other", "")) for each in seen(ILL, 1, 2, 3)], routes, 5 * S)
    assert later.due_ns == 10 * S
    assert advance(later, routes, 10 * S).due_ns == 15 * S
    # A contradiction leaves a time at which nothing is to be done.
    over = apply(waiting, [WELL], routes, S)
    assert advance(over, routes, 10 * S).due_ns is None


def test_what_outlives_a_restart() -> None:
    """What work has left stays left and must be seen well anew; what was only failing is forgotten."""
    failover_states = {
        (SCOPE, name): FailoverState(phase, since_ns=9, failed_ns=5, fault=NO_WORKERS)
        for name, phase in (("dc1", Phase.RETURNING), ("dc2", Phase.FAILED), ("dc3", Phase.FAILING))
    }
    left = FailoverState(Phase.FAILED, since_ns=5, failed_ns=5, fault=NO_WORKERS)
    assert remembered(failover_states) == {(SCOPE, "dc1"): left, (SCOPE, "dc2"): left}


RULES = (
    "{after: 5s}",
    "{back_after: 7s}",
    "{after: 5s, back_after: 7s, observations: 1}",
    "{after: 5s, back: manual, observations: 2}",
)


class FailoverMachine(RuleBasedStateMachine):
    """Shows dc1 ill and well in any order and at any pace, and knows the last unbroken row of signs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.failovers = NONE
        self.history: list[tuple[Observation | None, int]] = []
        self.sign: bool | None = None
        self.since = 0
        self.requests: set[int] = set()

    @initialize(failover=st.sampled_from(RULES))
    def begin(self, failover: str) -> None:
        self.routes = document(failover)
        found = self.routes.default.failover
        assert found is not None
        self.rule = found

    @rule(well=st.booleans(), request=st.integers(1, 5))
    def sign_is_seen(self, well: bool, request: int) -> None:
        if self.sign is not well:
            self.sign, self.since, self.requests = well, self.now, set()
        self.requests.add(request)
        self._step(replace(WELL if well else ILL, request=request))

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * S
        self._step(None)

    def _step(self, seen: Observation | None) -> None:
        before = self.failovers
        self.history.append((seen, self.now))
        self.failovers = _replayed(before, self.routes, [(seen, self.now)])
        was, now = _left(before), _left(self.failovers)
        if now and not was:
            assert self.sign is False
            assert self._shown(self.rule.after_ns), "left before the fault was shown"
        if was and not now:
            assert self.sign is True
            assert self.rule.back is FailBack.AUTO
            assert self._shown(self.rule.back_after_ns), "returned before its end was shown"

    def _shown(self, lasts_ns: int) -> bool:
        lasted = self.now - self.since >= max(lasts_ns, MIN_EVIDENCE_NS)
        return lasted and len(self.requests) >= self.rule.observations

    @invariant()
    def what_was_shown_counts(self) -> None:
        if self.sign is False and self._shown(self.rule.after_ns):
            assert _left(self.failovers)
        if self.sign is True and self._shown(self.rule.back_after_ns) and self.rule.back is FailBack.AUTO:
            assert not _left(self.failovers)

    @invariant()
    def the_same_events_lead_to_the_same(self) -> None:
        if self.history:
            again = _replayed(NONE, self.routes, self.history)
            assert (again.states, again.evidence) == (self.failovers.states, self.failovers.evidence)
            assert advance(self.failovers, self.routes, self.now) is self.failovers
            assert revise(self.failovers, self.routes, self.now).states is self.failovers.states
            assert self.failovers.failed_over == failovers(self.failovers.states).failed_over


def _left(now: Failovers) -> bool:
    return DC1 in now.states and now.states[DC1].phase is not Phase.FAILING


def _replayed(before: Failovers, routes: RoutingDocument, events: list[tuple[Observation | None, int]]) -> Failovers:
    for seen, now in events:
        if seen is not None:
            before = apply(before, [seen], routes, now)
        before = advance(before, routes, now)
    return before


FailoverMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestEverySequence = pytest.mark.no_cover(FailoverMachine.TestCase)


def state(failover: str, *left: str, down: tuple[str, ...] = (), rest: str = "apps: {billing: {}, other: {}}") -> State:
    """Return a State in which billing's work has left some datacenters."""
    failover_states = {(SCOPE, name): FailoverState(Phase.FAILED, 0, 0, NO_WORKERS) for name in left}
    judged = dict.fromkeys(down, unhealthy(REFUSED))
    return State(document(failover, rest), 1, 0, unhealthy=judged, failover_states=failover_states)


def test_what_work_has_left_comes_last() -> None:
    """A datacenter that work has left serves only when nobody else does, and is said to be unavailable."""
    gone = state("{back_after: 5m}", "dc1")
    found = decided(gone, {"dc1": 2, "dc2": 2})
    assert (found.datacenter, found.reason) == ("dc2", Reason.FAILOVER)
    assert decided(gone, {"dc1": 2}).reason is Reason.ACTIVE
    assert decided(gone, {"dc1": 2, "dc2": 2}, app="other").datacenter == "dc1"
    assert gone.resolve(("billing",), "billing", "").failed_over == {
        "dc1": GONE,
    }


def test_a_return_at_once_is_at_once() -> None:
    """Where nothing keeps work away, it returns with the very request that shows the datacenter to be well."""
    assert decided(state("{after: 10s}", "dc1"), {"dc1": 2, "dc2": 2}).datacenter == "dc1"


def test_with_patience_a_few_workers_are_enough() -> None:
    """While a fault has not lasted for `after`, work stays with whoever is left there; with nobody there, it cannot."""
    patient = state("{after: 10s}")
    found = decided(patient, {"dc1": 1, "dc2": 2})
    assert (found.datacenter, found.reason) == ("dc1", Reason.DEGRADED)
    assert decided(patient, {"dc2": 2}).datacenter == "dc2"
    assert decided(state("{after: 10s}", "dc1"), {"dc1": 1, "dc2": 2}).datacenter == "dc2"
    assert decided(state("{back_after: 10s}"), {"dc1": 1, "dc2": 2}).datacenter == "dc2"


def test_with_patience_probes_count_when_they_have_lasted() -> None:
    """A verdict of probes takes a datacenter out of a patient route only once work has left it, of others at once."""
    assert decided(state("{after: 10s}", down=("dc1",)), {"dc1": 2, "dc2": 2}).datacenter == "dc1"
    assert decided(state("{after: 10s}", "dc1", down=("dc1",)), {"dc1": 2}).reason is Reason.NO_WORKERS
    assert decided(state("{back_after: 10s}", down=("dc1",)), {"dc1": 2, "dc2": 2}).datacenter == "dc2"


def test_orders_act_at_once_and_are_no_faults() -> None:
    """A drill takes a datacenter out of a patient route too; it is neither ill nor well by that."""
    drilled = state(
        "{after: 10s}", rest="apps: {billing: {}}\ndrills: [{datacenter: dc1, until: '2026-01-01T00:00:00Z'}]"
    )
    found = decided(drilled, {"dc1": 2, "dc2": 2})
    assert found.datacenter == "dc2"
    assert found.observation == Observation(SCOPE, {}, ("dc2",))


def test_what_a_decision_shows() -> None:
    """Datacenters up to the one that serves, and those that work has left: how they are; nothing of the others."""
    assert decided(state("{back_after: 1m}"), {"dc1": 2}).observation == Observation(SCOPE, {}, ("dc1",))
    assert decided(state("{back_after: 1m}"), {"dc1": 1, "dc2": 2}).observation == Observation(
        SCOPE, {"dc1": Fault(FaultKind.TOO_FEW_WORKERS, workers=1, needed=2)}, ("dc2",)
    )
    assert decided(state("{back_after: 1m}", "dc3"), {"dc1": 2}).observation == Observation(
        SCOPE, {"dc3": NO_WORKERS}, ("dc1",)
    )
    assert decided(state("{back_after: 1m}", down=("dc1",)), {"dc1": 2, "dc2": 2}).observation == Observation(
        SCOPE, {"dc1": REFUSED}, ("dc2",)
    )
    assert decide(State(parse_document(b"dc1"), 1, 0), "billing", "7", "", ()).observation is None


@given(
    st.dictionaries(st.sampled_from(("dc1", "dc2", "dc3")), st.integers(0, 3)),
    st.sets(st.sampled_from(("dc1", "dc2", "dc3"))),
    st.sampled_from(RULES),
)
def test_patience_never_leaves_a_job_without_workers(counts: dict[str, int], left: set[str], failover: str) -> None:
    """Whatever work has left: while a datacenter of the route has workers, somebody serves."""
    found = decided(state(failover, *left), counts)
    assert bool(found.indices) is any(counts.values())


@pytest.mark.parametrize(
    ("failover", "left", "seen", "expected"),
    [
        ("{after: 1s}", (), WELL, True),
        ("{after: 1s}", (), ILL, False),
        ("{after: 1s}", ("dc1",), ILL, True),
        ("{after: 1s}", ("dc1",), WELL, False),
        ("{back: manual}", ("dc1",), WELL, True),
    ],
)
def test_what_is_known_already(failover: str, left: tuple[str, ...], seen: Observation, expected: bool) -> None:
    """A decision that shows nothing new may be remembered; any other must be made, and seen, again."""
    assert state(failover, *left).expects(seen) is expected


@pytest.mark.parametrize("phase", [Phase.FAILING, Phase.RETURNING])
def test_while_something_lasts_everything_is_news(phase: Phase) -> None:
    """Where faults or wellness are being timed, each sign is news: it may begin the time anew."""
    timed = State(document("{after: 1s}"), 1, 0, failover_states={DC1: FailoverState(phase, 0, 0, NO_WORKERS)})
    assert not timed.expects(WELL)
    assert not timed.expects(ILL)


def test_failover_and_return_are_told_as_changes() -> None:
    """Who left what, since when and why; and that it is preferred again."""
    before, after = state("{back_after: 1m}"), state("{back_after: 1m}", "dc1")
    gone = "dc1 failed over: no workers, since 1970-01-01T00:00:00Z"
    assert [change_text(change) for change in changes(before, after)] == [f"billing: dc1 preferred → {gone}"]
    assert [change_text(change) for change in changes(after, before)] == [f"billing: {gone} → dc1 preferred again"]
    more = State(
        after.document, 2, 0, failover_states={**after.failover_states, (SCOPE, "dc2"): after.failover_states[DC1]}
    )
    assert [change_text(change) for change in changes(after, more)] == [
        f"billing: dc2 preferred → {gone.replace('dc1', 'dc2')}"
    ]
    edited = [change_text(change) for change in changes(before, state("{after: 10s, back: manual}"))]
    assert edited == ["default, billing, other: failover at once, back after 1m → failover after 10s, back by hand"]


def test_an_explanation_tells_of_it() -> None:
    """Why the active datacenter does not serve is reported with since when; the key is reported where it is given."""
    text = "{default: {active: dc1, backups: [dc2], failover: {back_after: 10s}}, apps: {billing: {}}}"
    failed = {DC1: FailoverState(Phase.FAILED, 0, 0, NO_WORKERS)}
    gone = State(parse_document(text.encode()), 1, 0, failover_states=failed)
    found = explain(gone, read(text, lambda: None), "billing", "7", "", workers({"dc1": 1, "dc2": 1}))
    why = "failed over: no workers, since 1970-01-01T00:00:00Z"
    assert [verdict_text(choice) for choice in found.order] == [why, "serves"]
    assert outcome_text(found.outcome) == f"dc1 {why}; dc2 is the next that can."
    assert ("failover", "failover at once, back after 10s") in [(key.name, key_text(key.value)) for key in found.keys]


@pytest.mark.parametrize(
    ("route", "names"),
    [
        ("{active: dc1, backups: [dc2]}", ("dc1", "dc2")),
        ("{split: {dc1: 1, dc2: 0}, backups: [dc3]}", ("dc1", "dc2", "dc3")),
        ('{ramp: {from: dc1, to: dc2, start: "1970-01-01T00:00:00Z", duration: 1h}}', ("dc1", "dc2")),
        ("{backups: [dc2]}", ("dc2",)),
    ],
)
def test_who_may_serve(route: str, names: tuple[str, ...]) -> None:
    """A route names those of its selector, then its backups."""
    assert parse_document(f"default: {route}".encode()).default.names == names


def test_the_key_is_read_and_inherited() -> None:
    """Each route that has none of its own has its parent's, whole."""
    text = """
default: {active: dc1, failover: {after: 10s, back_after: 5m}}
apps:
  a: dc2
  b: {failover: {back: manual, failed_back: "1970-01-01T00:00:09Z"}, jobs: {"7": dc3, "8": {failover: {}}}}
"""
    found = parse_document(text.encode())
    assert found.patient
    assert found.route("a").failover == Failover(10 * S, 300 * S)
    assert found.route("b", "7").failover == Failover(back=FailBack.MANUAL, failed_back_ns=9 * S)
    assert found.route("b", "8").failover is None
    assert not parse_document(b"dc1").patient


@pytest.mark.parametrize(
    ("failover", "path", "words"),
    [
        ("10s", "failover", "expected a mapping such as {after: 10s"),
        ("{aftr: 1s}", "failover.aftr", "did you mean `after`?"),
        ("{after: 0s}", "failover.after", "expected a duration over 0"),
        ("{back: never}", "failover.back", "expected auto or manual"),
        ("{back: manual, back_after: 1m}", "failover.back_after", "expected one of them"),
        ("{failed_back: now}", "failover.failed_back", "expected a day and time"),
    ],
)
def test_a_wrong_key_is_refused(failover: str, path: str, words: str) -> None:
    """What makes no sense is refused, with its place and what is expected."""
    with pytest.raises(DocumentRejected) as refused:
        document(failover)
    assert {problem.path: words in problem.message for problem in refused.value.problems} == {f"default.{path}": True}
