from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.health.verdicts import ProbeState, down, verdicts
from sidecar.routing.document import parse_document
from sidecar.routing.model import Checks, Probe, ProbeKind
from sidecar.routing.state import State
from sidecar.routing.wording import outage_text

A = Probe(ProbeKind.TCP, "a.dc1:443", "a.dc1", 443)
B = Probe(ProbeKind.TCP, "b.dc1:443", "b.dc1", 443)
S = 10**9


def checks(*probes: Probe, fall: int = 3, rise: int = 2, must_pass: int = 1) -> Checks:
    """Return checks with these probes."""
    return Checks(probes, interval_ns=5 * S, timeout_ns=S, fall=fall, rise=rise, must_pass=must_pass)


def stands_after(outcomes: str, **options: int) -> ProbeState:
    """Return the standing after failures (f) and successes (s), one a second."""
    standing = ProbeState()
    for second, outcome in enumerate(outcomes, start=1):
        standing = standing.after("refused" if outcome == "f" else None, checks(A, **options), second * S)
    return standing


@pytest.mark.parametrize(
    ("outcomes", "up"),
    [("", True), ("ff", True), ("fff", False), ("ffsff", True), ("fffs", False), ("fffss", True), ("fffsfs", False)],
)
def test_fall_and_rise_count_outcomes_in_a_row(outcomes: str, up: bool) -> None:
    """A probe falls after three failures in a row and rises after two successes in a row; one outcome breaks a row."""
    assert stands_after(outcomes).up is up


@given(st.text("sf", max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_a_standing_changes_only_by_a_whole_row(outcomes: str, fall: int, rise: int) -> None:
    """Whatever came before, the last `fall` failures or `rise` successes decide, and less than that decides nothing."""
    standing = stands_after(outcomes, fall=fall, rise=rise)
    if outcomes.endswith("f" * fall):
        assert not standing.up
    if outcomes.endswith("s" * rise):
        assert standing.up
    if standing.against == 0 and outcomes:
        assert outcomes[-1] == ("s" if standing.up else "f")


def test_a_datacenter_is_down_while_too_few_probes_are_up() -> None:
    """`must_pass` of the probes must be up; the reason names those that are not, and since when."""
    fallen = stands_after("fff")
    one: Mapping[tuple[str, Probe], ProbeState] = {("dc1", A): fallen}
    assert down("dc1", checks(A, B, must_pass=1), one) is None
    outage = down("dc1", checks(A, B, must_pass=2), one)
    assert outage is not None
    assert outage_text(outage) == "probes: tcp a.dc1:443: refused, since 1970-01-01T00:00:03Z"
    assert down("dc2", checks(A, B, must_pass=2), one) is None


def state(datacenters: str, rest: str = "") -> State:
    """Return a State of a document with these datacenters."""
    return State(parse_document(f"datacenters: {datacenters}\n{rest}".encode()), generation=1, now_ns=0)


PROBED = "{probes: [{tcp: 'a.dc1:443'}]}"
FALLEN = {(name, A): ProbeState(up=False, error="refused", since_ns=S) for name in ("dc1", "dc2", "dc3")}


def test_a_verdict_takes_a_datacenter_out() -> None:
    """What its probes judge down is out, while another datacenter is left."""
    judged, ignored = verdicts(state(f"{{dc1: {PROBED}, dc2: {{}}}}"), FALLEN)
    assert (list(judged), ignored) == (["dc1"], {})


@pytest.mark.parametrize(
    ("datacenters", "rest"),
    [
        (f"{{dc1: {PROBED}, dc2: {PROBED}}}", ""),
        (f"{{dc1: {PROBED}, dc2: {{available: false}}}}", ""),
        (f"{{dc1: {PROBED}, dc2: {{}}}}", "drills: [{datacenter: dc2, until: '2026-01-01T00:00:00Z'}]"),
    ],
)
def test_the_last_datacenter_is_never_taken_out(datacenters: str, rest: str) -> None:
    """Where probes judge down all that marks and drills have left, they are broken: none counts, and that is said."""
    judged, ignored = verdicts(state(datacenters, rest), FALLEN)
    assert judged == {}
    assert next(iter(ignored)) == "dc1"
    assert outage_text(ignored["dc1"]).startswith("probes: tcp a.dc1:443: refused")


def test_what_is_marked_is_not_saved_by_ignoring_probes() -> None:
    """Where marks alone leave nobody, probes are not to blame, and nothing is said of them."""
    judged, ignored = verdicts(state(f"{{dc1: {PROBED[:-1]}, available: false}}, dc2: {{available: false}}}}"), FALLEN)
    assert (list(judged), ignored) == (["dc1"], {})


def test_verdicts_on_a_state_that_has_them_are_the_same() -> None:
    """Judging again, with the verdicts in force, changes nothing: there is no swinging between two states."""
    before = state(f"{{dc1: {PROBED}, dc2: {{}}}}")
    judged, ignored = verdicts(before, FALLEN)
    after = State(before.document, generation=2, now_ns=0, unhealthy=judged)
    assert verdicts(after, FALLEN) == (judged, ignored)
