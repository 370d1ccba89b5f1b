from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    NONE,
    FailoverState,
    FailoverStates,
    Observation,
    Phase,
    advance,
    apply,
    remembered,
    timed,
)
from sidecar.routing.model import FailBack, Failover, RoutingDocument
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, Outage, OutageKind, ProbeFailure, unhealthy
from sidecar.routing.state import State
from sidecar.routing.wording import change_text
from sidecar.yaml_reader import read

S = 10**9
SCOPE = ("billing", "")
DC1 = (SCOPE, "dc1")


def document(failover: str, rest: str = "") -> RoutingDocument:
    """Return a document whose routes fail over in this way."""
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


def played(failover: str, events: str) -> str:
    """Return dc1's phase after events, a second each: i is seen ill, w is seen well, anything else is time."""
    routes = document(failover)
    failover_states: FailoverStates = NONE
    for second, event in enumerate(events):
        if event in "iw":
            failover_states = apply(failover_states, [ILL if event == "i" else WELL], routes, second * S)
        failover_states = advance(failover_states, routes, second * S)
    known = failover_states.get(DC1)
    return "WELL" if known is None else known.phase.name


@pytest.mark.parametrize(
    ("failover", "events", "phase"),
    [
        # At once, both ways, is what routes do without the key: nothing is to be remembered.
        ("{}", "i", "WELL"),
        # `after`: the fault must last; one good sign begins anew.
        ("{after: 3s}", "i", "FAILING"),
        ("{after: 3s}", "i..", "FAILING"),
        ("{after: 3s}", "i...", "FAILED"),
        ("{after: 3s}", "iiii", "FAILED"),
        ("{after: 3s}", "iw", "WELL"),
        ("{after: 3s}", "iiwii", "FAILING"),
        ("{after: 3s}", "ii.wiiii", "FAILED"),
        # `back_after`: it must be over for so long; one bad sign begins anew.
        ("{back_after: 3s}", "iw", "RETURNING"),
        ("{back_after: 3s}", "iw..", "RETURNING"),
        ("{back_after: 3s}", "iw...", "WELL"),
        ("{back_after: 3s}", "iwwi", "FAILED"),
        ("{back_after: 3s}", "iwwiww.", "RETURNING"),
        ("{back_after: 3s}", "i......", "FAILED"),
        # By hand: however well it looks.
        ("{back: manual}", "iwwwwwwwwwwww", "FAILED"),
        ("{after: 2s, back: manual}", "iwiwiwiw", "WELL"),
        # Sent back by hand: what it had left before then (here the end of the first second), it has not left any more.
        ('{back: manual, failed_back: "1970-01-01T00:00:01Z"}', "i", "WELL"),
        ('{back: manual, failed_back: "1970-01-01T00:00:01Z"}', ".i", "WELL"),
        ('{back: manual, failed_back: "1970-01-01T00:00:01Z"}', "..i", "FAILED"),
    ],
)
def test_what_comes_of_what_is_seen(failover: str, events: str, phase: str) -> None:
    """Faults and wellness count when they have lasted, without a break, for what the document says."""
    assert played(failover, events) == phase


def test_a_new_document_is_obeyed() -> None:
    """Without the key, or where the datacenter is not on the route any more, nothing is remembered."""
    failed = apply(NONE, [ILL], document("{back: manual}"), 0)
    assert advance(failed, document("{back: manual}"), S) is failed
    assert advance(failed, parse_document(b"dc1"), S) == {}
    assert advance(failed, parse_document(b"default: {active: dc2, failover: {back: manual}}"), S) == {}
    returning = apply(apply(NONE, [ILL], document("{back_after: 1m}"), 0), [WELL], document("{back_after: 1m}"), S)
    assert advance(returning, document("{back_after: 1s}"), 2 * S) == {}
    assert advance(returning, document("{back: manual}"), 2 * S)[DC1].phase is Phase.FAILED
    assert apply(NONE, [ILL], parse_document(b"dc1"), 0) is NONE


def test_a_job_of_its_own_has_its_own_failover() -> None:
    """A job with a route of its own is a scope of its own, for as long as the document names it."""
    routes = document("{back_after: 1m}", 'apps: {billing: {jobs: {"7": dc2}}}')
    state = State(routes, 1, 0)
    assert (state.scope("billing", "7"), state.scope("billing", "8")) == (("billing", "7"), ("billing", ""))
    failed = apply(NONE, [Observation(("billing", "7"), {"dc2": NO_WORKERS}, ())], routes, 0)
    assert advance(failed, routes, S) is failed
    assert advance(failed, document("{back_after: 1m}"), S) == {}


def test_a_clock_that_goes_back_keeps_nothing_for_longer_than_the_rule_says() -> None:
    """Nothing happens early, and after the time from then on it does."""
    routes = document("{back_after: 10s}")
    failover_states = {DC1: FailoverState(Phase.RETURNING, since_ns=100 * S, failed_ns=50 * S, fault=NO_WORKERS)}
    assert advance(failover_states, routes, 20 * S) is failover_states
    assert advance(failover_states, routes, 110 * S) == {}


def test_names_from_requests_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound nothing more is remembered, and what is remembered goes on."""
    monkeypatch.setattr("sidecar.routing.failover.MAX_STATES", 2)
    failover_states: FailoverStates = NONE
    for app in "abc":
        failover_states = apply(
            failover_states, [Observation((app, ""), {"dc1": NO_WORKERS}, ())], document("{back_after: 1m}"), 0
        )
    assert [scope for scope, _ in failover_states] == [("a", ""), ("b", "")]
    assert apply(failover_states, [Observation(("a", ""), {}, ("dc1",))], document("{after: 1m}"), 0).keys() == {
        (("b", ""), "dc1")
    }


def test_a_batch_of_observations_is_applied_in_order_to_one_copy() -> None:
    """Many observations lead where they would one by one; those that cancel out leave the states the same object."""
    routes = document("{after: 1m, back_after: 1m}")
    batch = [ILL, Observation(("other", ""), {"dc1": NO_WORKERS}, ()), WELL, ILL]
    one_by_one: FailoverStates = NONE
    for observation in batch:
        one_by_one = apply(one_by_one, [observation], routes, S)
    assert apply(NONE, batch, routes, S) == one_by_one
    assert one_by_one.keys() == {DC1, (("other", ""), "dc1")}
    assert apply(one_by_one, [WELL, ILL], routes, S) is one_by_one


def test_only_what_is_being_timed_needs_the_clock() -> None:
    """A datacenter that work has left stays left whatever time it is; one that is failing or returning does not."""
    for phase, expected in ((Phase.FAILED, False), (Phase.FAILING, True), (Phase.RETURNING, True)):
        assert timed({DC1: FailoverState(phase, 0, 0, NO_WORKERS)}) is expected
    assert not timed(NONE)


def test_what_outlives_a_restart() -> None:
    """What work has left stays left and must be seen well anew; what was only failing is forgotten."""
    failover_states = {
        (SCOPE, name): FailoverState(phase, since_ns=9, failed_ns=5, fault=NO_WORKERS)
        for name, phase in (("dc1", Phase.RETURNING), ("dc2", Phase.FAILED), ("dc3", Phase.FAILING))
    }
    left = FailoverState(Phase.FAILED, since_ns=5, failed_ns=5, fault=NO_WORKERS)
    assert remembered(failover_states) == {(SCOPE, "dc1"): left, (SCOPE, "dc2"): left}


RULES = ("{after: 5s}", "{back_after: 7s}", "{after: 5s, back_after: 7s}", "{after: 5s, back: manual}")


class FailoverMachine(RuleBasedStateMachine):
    """Shows dc1 ill and well in any order and at any pace, and knows the last unbroken row of signs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.failover_states: FailoverStates = NONE
        self.history: list[tuple[Observation | None, int]] = []
        self.sign: bool | None = None
        self.since = 0

    @initialize(failover=st.sampled_from(RULES))
    def begin(self, failover: str) -> None:
        self.routes = document(failover)
        found = self.routes.default.failover
        assert found is not None
        self.rule = found

    @rule(well=st.booleans())
    def sign_is_seen(self, well: bool) -> None:
        if self.sign is not well:
            self.sign, self.since = well, self.now
        self._step(WELL if well else ILL)

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * S
        self._step(None)

    def _step(self, seen: Observation | None) -> None:
        before = self.failover_states
        self.history.append((seen, self.now))
        self.failover_states = _replayed(before, self.routes, [(seen, self.now)])
        was, now = _left(before), _left(self.failover_states)
        lasted = self.now - self.since
        if now and not was:
            assert self.sign is False
            assert lasted >= self.rule.after_ns, "left before the fault had lasted"
        if was and not now:
            assert self.sign is True
            assert self.rule.back is FailBack.AUTO
            assert lasted >= self.rule.back_after_ns, "returned before it was over for long enough"

    @invariant()
    def what_has_lasted_counts(self) -> None:
        lasted = self.now - self.since
        if self.sign is False and lasted >= self.rule.after_ns:
            assert _left(self.failover_states)
        if self.sign is True and lasted >= self.rule.back_after_ns and self.rule.back is FailBack.AUTO:
            assert not _left(self.failover_states)

    @invariant()
    def the_same_events_lead_to_the_same(self) -> None:
        if self.history:
            assert _replayed(NONE, self.routes, self.history) == self.failover_states
            assert advance(self.failover_states, self.routes, self.now) is self.failover_states


def _left(failover_states: FailoverStates) -> bool:
    return DC1 in failover_states and failover_states[DC1].phase is not Phase.FAILING


def _replayed(
    failover_states: FailoverStates, routes: RoutingDocument, events: list[tuple[Observation | None, int]]
) -> FailoverStates:
    for seen, now in events:
        if seen is not None:
            failover_states = apply(failover_states, [seen], routes, now)
        failover_states = advance(failover_states, routes, now)
    return failover_states


FailoverMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestEverySequence = FailoverMachine.TestCase


def state(failover: str, *left: str, down: tuple[str, ...] = (), rest: str = "") -> State:
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
    drilled = state("{after: 10s}", rest="drills: [{datacenter: dc1, until: '2026-01-01T00:00:00Z'}]")
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
    assert edited == ["default: failover at once, back after 1m → failover after 10s, back by hand"]


def test_an_explanation_tells_of_it() -> None:
    """Why the active datacenter does not serve is told with since when; the key is told where it is given."""
    text = "{default: {active: dc1, backups: [dc2], failover: {back_after: 10s}}}"
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
