"""The next view, from any view, any event and any time: pure, and nothing good is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import DocumentRejected, Problem
from sidecar.lifecycle import SourceState
from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.failover import FailoverState, FailoverStates, Observation, Phase
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, Outages, unhealthy
from sidecar.routing.scalars import SECOND_NS
from sidecar.sources.base import Content, Gray, Missing, Report, Unreachable
from sidecar.transition import next_view
from sidecar.view import (
    AdmissionChanged,
    ClockTicked,
    DecisionsObserved,
    Event,
    FailoversRestored,
    HealthJudged,
    HealthNotice,
    Instant,
    LoadedDocument,
    OverrideProblemKind,
    OverrideReported,
    SkippedProbe,
    SkipReason,
    SnapshotRestored,
    SourceReported,
    View,
    initial_view,
)

PATIENT = b"default: {active: dc1, backups: [dc2], failover: {after: 5s, back_after: 5s}}\napps: {billing: {}}"
RAMP = b'default: {ramp: {from: dc1, to: dc2, start: "1970-01-01T00:00:20Z", duration: 60s}}'
DRILL = b'default: dc1\ndrills: [{datacenter: dc1, start: "1970-01-01T00:00:30Z", until: "1970-01-01T00:01:30Z"}]'
GOOD = {text: parse_document(text) for text in (b"dc1", PATIENT, RAMP, DRILL)}
BAD = (b"", b"default: {activ: dc1}", b"\xff")
MAX_STALE_NS = 30 * SECOND_NS
SCOPE = ("billing", "")
FAILED: FailoverStates = {(SCOPE, "dc1"): FailoverState(Phase.FAILED, 0, 0, NO_WORKERS)}
DOWN: Outages = {"dc1": unhealthy(Fault(FaultKind.OTHER, text="refused"))}


def parse(text: bytes) -> RoutingDocument:
    """Return the document of a text; the same object for the same good text."""
    return GOOD[text] if text in GOOD else parse_document(text)


def after(view: View, event: Event, wall_ns: int = 0, steady_ns: int = 0) -> View:
    """Return the view after an event."""
    return next_view(view, event, Instant(wall_ns, steady_ns), parse=parse, max_stale_ns=MAX_STALE_NS)


def content(text: bytes) -> SourceReported:
    """Return the event of a text of the source."""
    return SourceReported(Content(text, "v"))


START = initial_view(Instant(0, 0))

texts = st.sampled_from([*GOOD, *BAD])
reports: st.SearchStrategy[Report] = st.one_of(
    texts.map(lambda text: Content(text, f"version of {text!r}")),
    st.just(Missing("no such key")),
    st.sampled_from(["timeout", "refused"]).map(Unreachable),
)
notices = st.sampled_from(
    [
        None,
        HealthNotice(ignored=DOWN),
        HealthNotice(skipped=(SkippedProbe("dc1", "tcp a:1", SkipReason.BUSY, count=9),)),
    ]
)
observations = st.sampled_from(
    [Observation(SCOPE, {"dc1": NO_WORKERS}, ("dc2",)), Observation(SCOPE, {}, ("dc1",)), Observation(SCOPE, {}, ())]
)
events: st.SearchStrategy[Event] = st.one_of(
    reports.map(SourceReported),
    reports.map(lambda report: OverrideReported("file:/o", report)),
    st.builds(HealthJudged, st.sampled_from([{}, DOWN]), notices),
    st.lists(observations, max_size=4).map(lambda found: DecisionsObserved(tuple(found))),
    st.sampled_from([*GOOD]).map(lambda text: SnapshotRestored(LoadedDocument(text, GOOD[text]), 1)),
    st.sampled_from([{}, FAILED]).map(FailoversRestored),
    st.just(ClockTicked()),
)
# The wall's clock jumps, also back; the other one only goes on.
moments = st.tuples(st.integers(-50, 50), st.integers(0, 20))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(events, moments), max_size=30))
def test_no_sequence_of_events_loses_the_last_good_document(steps: list[tuple[Event, tuple[int, int]]]) -> None:
    """Whatever happens in whatever order, at whatever time: what is good decides, and generations only grow."""
    view, wall_ns, steady_ns = START, 0, 0
    for event, (jump, passed) in steps:
        wall_ns, steady_ns = max(0, wall_ns + jump * SECOND_NS), steady_ns + passed * SECOND_NS
        before, view = view, after(view, event, wall_ns, steady_ns)
        _never_worse(before, view, event)
        if view.state is None:
            assert view.loaded is None
            continue
        assert view.loaded is not None
        assert view.state.document is view.loaded.document
        assert view.text in GOOD
        assert view.state.holds(wall_ns)
        assert view.state.unhealthy == view.unhealthy
        assert view.state.failover_states is view.failovers.states
        assert view.state.stale is (view.status.state is SourceState.DISCONNECTED and not view.overridden)
        # Time alone, standing still, changes nothing more.
        assert after(view, ClockTicked(), wall_ns, steady_ns) == view


def _never_worse(before: View, view: View, event: Event) -> None:
    if before.state is not None:
        assert view.state is not None
        grown = view.state.generation - before.state.generation
        assert grown == (0 if view.state is before.state else 1)
    if before.source is not None:
        assert view.source is not None
        accepted = isinstance(event, SourceReported | SnapshotRestored)
        assert view.source is before.source or accepted
    refused = view.status.refusal
    assert refused is None or (refused.text in BAD and refused.revision == revision_of(refused.text))


def every_view() -> list[View]:
    """Return views in which the source is in each of its states, with and without override, verdicts and failovers."""
    synced = after(START, content(PATIENT))
    found = [
        START,
        synced,
        after(synced, SourceReported(Unreachable("away"))),
        after(synced, content(BAD[0])),
        after(synced, SourceReported(Missing("gone"))),
        after(START, SnapshotRestored(LoadedDocument(RAMP, GOOD[RAMP]), 1)),
    ]
    more: list[Event] = [
        OverrideReported("file:/o", Content(b"dc1", "v")),
        HealthJudged(DOWN, HealthNotice(ignored=DOWN)),
        FailoversRestored(FAILED),
    ]
    return found + [after(view, event) for view in found for event in more]


@given(events)
@settings(max_examples=200, deadline=None)
def test_no_pair_of_view_and_event_raises(event: Event) -> None:
    """Every event is legal in every view, and leads to one in which the source has a state of the API."""
    for view in every_view():
        assert after(view, event, 10**9, 10**9).status.state in SourceState


def test_a_text_is_parsed_once_whether_good_or_bad() -> None:
    """A source that reports the same text again and again costs no more."""
    parsed: list[bytes] = []

    def counting(text: bytes) -> RoutingDocument:
        parsed.append(text)
        return parse(text)

    view = START
    for text in (b"dc1", b"dc1", BAD[0], BAD[0], b"dc1"):
        view = next_view(view, content(text), Instant(0, 0), parse=counting)
    assert parsed == [b"dc1", BAD[0]]


def test_a_refusal_keeps_nothing_of_what_was_read() -> None:
    """The error in a view has no traceback, whose frames would hold the tree of a large document."""
    refusal = after(START, content(BAD[0])).status.refusal
    assert refusal is not None
    assert refusal.error.__traceback__ is None
    assert refusal.error.__cause__ is None


def test_what_parse_raises_beside_a_refusal_is_raised() -> None:
    """A defect is not taken for a bad document."""

    def broken(_: bytes) -> RoutingDocument:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next_view(START, content(b"dc1"), Instant(0, 0), parse=broken)


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        (Unreachable("permission denied"), OverrideProblemKind.UNREADABLE),
        (Content(b"default: [1]", "v"), OverrideProblemKind.REFUSED),
        (Missing("gone"), OverrideProblemKind.NEEDED),
    ],
)
def test_an_override_with_a_problem_stays_in_force(report: Report, kind: OverrideProblemKind) -> None:
    """Only a file that is gone, while the source has a document, ends it; the problem has a kind."""
    overridden = after(START, OverrideReported("file:/o", Content(b"dc1", "v")), wall_ns=7)
    found = after(overridden, OverrideReported("file:/o", report))
    assert found.text == b"dc1"
    assert found.override is not None
    assert found.override.problem is not None
    assert (found.override.problem.kind, found.override.since_ns) == (kind, 7)
    assert (found.override.problem.error == "") is (kind is OverrideProblemKind.NEEDED)
    ended = after(after(overridden, content(PATIENT)), OverrideReported("file:/o", Missing("gone")))
    assert (ended.override, ended.text) == (None, PATIENT)


def test_overdue_is_measured_by_the_clock_that_does_not_jump() -> None:
    """From the moment at which the source was lost, through further losses, until it is back."""
    view = after(after(START, content(b"dc1")), SourceReported(Unreachable("away")), steady_ns=SECOND_NS)
    view = after(view, SourceReported(Unreachable("still away")), wall_ns=10**15, steady_ns=20 * SECOND_NS)
    assert after(view, ClockTicked(), 10**15, steady_ns=31 * SECOND_NS).ready
    overdue = after(view, ClockTicked(), 10**15, steady_ns=31 * SECOND_NS + 1)
    assert (overdue.overdue, overdue.ready) == (True, False)
    assert after(overdue, content(b"dc1"), steady_ns=32 * SECOND_NS).ready
    # A local document is not the source's, and never too old.
    assert after(overdue, OverrideReported("file:/o", Content(PATIENT, "v")), steady_ns=33 * SECOND_NS).ready


def test_a_batch_of_observations_makes_one_state() -> None:
    """However many decisions are observed at once, there is one new generation, or none where nothing is new."""
    view = after(START, content(PATIENT))
    assert view.state is not None
    many = tuple(Observation(SCOPE, {"dc1": NO_WORKERS, "dc2": NO_WORKERS}, (), number) for number in range(100))
    observed = after(view, DecisionsObserved(many))
    assert observed.state is not None
    assert (observed.state.generation, len(observed.failovers.states)) == (view.state.generation + 1, 2)
    assert after(observed, DecisionsObserved(many)) == observed


class Judge:
    """Admits texts without the word; remembers what it was asked."""

    def __init__(self, word: bytes) -> None:
        self.word = word
        self.asked: list[tuple[bytes | None, RoutingDocument | None]] = []

    def check_text(self, text: bytes, current: bytes | None, now_ns: int) -> None:  # noqa: ARG002 - the protocol
        self.asked.append((current, None))
        if self.word in text:
            raise DocumentRejected((Problem("", "not admitted"),))

    def check_change(self, text: bytes, after: RoutingDocument, before: RoutingDocument | None, now_ns: int) -> None:  # noqa: ARG002
        self.asked.append((text, before))


def test_the_admission_judges_documents_of_the_source() -> None:
    """Against the one in force, before and after it is parsed; what is not admitted is refused like a bad text."""
    judge = Judge(b"dc1")

    def judged(view: View, event: Event) -> View:
        return next_view(view, event, Instant(5, 5), parse=parse, admission=judge)

    first = judged(START, content(PATIENT.replace(b"dc1", b"dc3")))
    assert judge.asked[0] == (None, None)
    refused = judged(first, content(b"dc1"))
    assert (refused.status.state, refused.status.error) == (SourceState.REJECTED, "the document: not admitted")
    assert refused.source is first.source
    assert judge.asked[-1] == (first.text, None)
    assert judged(refused, OverrideReported("file:/o", Content(b"dc1", "v"))).overridden
    judge.word = b"never"
    assert judged(refused, content(b"dc1")).status.state is SourceState.REJECTED
    admitted = judged(refused, AdmissionChanged())
    assert (admitted.status.state, admitted.text) == (SourceState.SYNCED, b"dc1")
    assert judged(admitted, AdmissionChanged()) == admitted
    lost = judged(judged(refused, SourceReported(Unreachable("away"))), AdmissionChanged())
    assert lost.status.state is SourceState.DISCONNECTED
    assert judged(lost, content(b"dc1")).status.state is SourceState.SYNCED


def test_the_override_has_a_parser_of_its_own() -> None:
    """What it asks for is asked of the override alone."""

    def none(_: bytes) -> RoutingDocument:
        raise DocumentRejected((Problem("", "not signed"),))

    report = OverrideReported("file:/o", Content(b"dc1", "v"))
    view = next_view(START, report, Instant(5, 5), parse=parse, parse_override=none)
    assert not view.overridden
    assert view.override is not None
    assert view.override.problem is not None
    assert after(START, content(b"dc1")).ready


def test_the_bad_texts_are_bad() -> None:
    """The texts of this module are what their names say."""
    for text in BAD:
        with pytest.raises(DocumentRejected):
            parse_document(text)


def test_a_gray_version_is_known_since_it_was_first_served() -> None:
    """Its start stays while it is read again, also with another text; the ordinary text or an absent key ends it."""
    gray = Gray("beta", ("a",))
    served = SourceReported(Content(b"dc1", "v", gray))
    first = after(initial_view(Instant(1, 1)), served, 5)
    assert (first.status.gray, first.status.gray_since_ns) == (gray, 5)
    again = after(after(first, served, 9), SourceReported(Content(PATIENT, "w", Gray("beta", ("a", "b")))), 10)
    assert (again.status.gray, again.status.gray_since_ns) == (Gray("beta", ("a", "b")), 5)
    for end in (content(b"dc1"), SourceReported(Missing("gone"))):
        ended = after(again, end, 11).status
        assert (ended.gray, ended.gray_since_ns) == (None, 0)
    assert after(again, SourceReported(Unreachable("down")), 11).status.gray is not None
