"""What the clock does to a document."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.routing.document import parse_document
from sidecar.routing.model import Active, Drill, Ramp, RoutingDocument, Split
from sidecar.routing.schedule import ramp_step, ramp_weights, step_time, weights_at, window
from sidecar.routing.state import State

ramps = st.builds(
    Ramp,
    st.just("dc1"),
    st.just("dc2"),
    st.integers(-(10**18), 10**19),
    st.integers(1, 10**15) | st.integers(1, 20),
    st.integers(1, 10_000),
)


@given(ramps, st.data())
def test_a_step_is_taken_at_its_first_nanosecond(ramp: Ramp, data: st.DataObject) -> None:
    """At the time of a step it is taken, a nanosecond before it is not."""
    step = data.draw(st.integers(1, ramp.steps))
    moment = step_time(ramp, step)
    assert ramp_step(ramp, moment) >= step
    assert ramp_step(ramp, moment - 1) < step
    assert ramp.start_ns <= moment <= ramp.start_ns + ramp.duration_ns


@given(ramps, st.integers(-(10**18), 10**19))
def test_steps_are_those_of_the_formula(ramp: Ramp, now: int) -> None:
    """They are floor(steps x elapsed / duration), from 0 before the start to all of them at the end."""
    exact = Fraction(ramp.steps * (now - ramp.start_ns), ramp.duration_ns)
    assert ramp_step(ramp, now) == min(max(exact.__floor__(), 0), ramp.steps)
    weights = dict(ramp_weights(ramp, now))
    assert weights == {"dc1": ramp.steps - ramp_step(ramp, now), "dc2": ramp_step(ramp, now)}


def test_a_ramp_starts_and_ends_on_the_dot() -> None:
    """At `start` nothing has moved, at `start` and `duration` all has."""
    ramp = Ramp("dc1", "dc2", 1000, 400, 4)
    moments = (-5, 1000, 1099, 1100, 1199, 1200, 1399, 1400, 9999)
    assert [ramp_step(ramp, moment) for moment in moments] == [0, 0, 0, 1, 1, 2, 3, 4, 4]


def test_weights_of_each_selector() -> None:
    """An active datacenter weighs 1; a split is as it is written."""
    assert weights_at(Active("dc1"), 0) == (("dc1", 1.0),)
    assert weights_at(Split((("dc2", 3.0), ("dc1", 0.0))), 0) == (("dc2", 3.0), ("dc1", 0.0))
    assert weights_at(Ramp("dc1", "dc2", 0, 10, 10), 3) == (("dc1", 7.0), ("dc2", 3.0))


@pytest.mark.parametrize(("now", "on"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_drill_is_on_up_to_its_end(now: int, on: bool) -> None:
    """It begins at its start, and is over at `until`."""
    assert Drill("dc1", until_ns=200, start_ns=100).active(now) is on


def test_a_drill_without_a_start_was_always_on() -> None:
    """Only its end is an edge."""
    drill = Drill("dc1", until_ns=200)
    assert drill.active(-(10**20))
    assert window(RoutingDocument("r", drills=(drill,)), 0) == (None, 200)
    assert window(RoutingDocument("r", drills=(drill,)), 200) == (200, None)


def test_a_document_without_clockwork_holds_for_ever() -> None:
    """No ramp and no drill: no edges."""
    assert window(RoutingDocument("r"), 0) == (None, None)
    assert State(RoutingDocument("r"), 1, 0).holds(10**30)


def test_the_window_is_the_closest_of_all_edges() -> None:
    """Ramps of jobs and edges of other applications' drills count too."""
    text = """
        apps:
          a: {active: x, jobs: {"1": {ramp: {from: x, to: y, start: "1970-01-01T00:00:10Z", duration: 10s}}}}
          b: {ramp: {from: x, to: y, start: "1970-01-01T00:00:00Z", duration: 40s, steps: 2}}
        drills: [{datacenter: z, start: "1970-01-01T00:00:14.5Z", until: "1970-01-01T00:00:18.25Z", apps: [b]}]
    """
    document = parse_document(text.encode())
    second = 10**9
    assert window(document, 0) == (None, 11 * second)
    assert window(document, 11 * second) == (11 * second, 12 * second)
    assert window(document, 14 * second) == (14 * second, 14 * second + second // 2)
    assert window(document, 18 * second) == (18 * second, 18 * second + second // 4)
    assert window(document, 30 * second) == (20 * second, 40 * second)
    assert window(document, 40 * second) == (40 * second, None)
    state = State(document, 1, 11 * second)
    assert [state.holds(moment) for moment in (11 * second - 1, 11 * second, 12 * second - 1, 12 * second)] == [
        False,
        True,
        True,
        False,
    ]
