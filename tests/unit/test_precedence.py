from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from sidecar.lifecycle import SourceState
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, Observation, Phase
from sidecar.sources.base import Content, Missing, Unreachable
from sidecar.table import RoutingTable, View
from sidecar.testing import FakeClock
from tests.waiting import eventually

OVERRIDE = "file:/etc/override.yaml"
AWAY = Unreachable("connection refused")


def content(text: str) -> Content:
    """Return the report of a text."""
    return Content(text.encode(), text)


class Told:
    """A table that runs, with a clock and a stopwatch of the test's; `views` are all that were in force."""

    def __init__(self, max_stale: float | None = None) -> None:
        self.clock = FakeClock()
        self.seconds = 0.0
        self.table = RoutingTable(clock=self.clock, elapsed=lambda: self.seconds, max_stale=max_stale)
        self.views: list[View] = []
        self.table.subscribe(lambda _, after: self.views.append(after))

    @property
    def view(self) -> View:
        return self.table.view

    def decides(self, text: str) -> View:
        """Wait until this text decides."""
        eventually(lambda: self.view.state is not None and self.view.text == text.encode(), f"{text!r} to decide")
        return self.view

    def generations(self) -> list[int]:
        return [view.state.generation for view in self.views if view.state is not None]


@pytest.fixture
def start() -> Iterator[Callable[..., Told]]:
    """Start tables, and stop them when the test is over."""
    started: list[Told] = []

    def begin(*, max_stale: float | None = None) -> Told:
        told = Told(max_stale)
        started.append(told)
        told.table.start()
        return told

    yield begin
    for told in started:
        told.table.stop()


Start = Callable[..., Told]


def test_what_was_delivered_before_the_start_decides_the_first_call() -> None:
    """Once `start` has returned, an override that was there is in force: no call is answered by anything else."""
    told = Told()
    told.table.restore(b"dc1", parse_document(b"dc1"), 7)
    told.table.override(OVERRIDE, content("dc9"))
    told.table.start()
    assert told.view.text == b"dc9"
    told.table.stop()


def test_an_override_wins_while_its_file_exists(start: Start) -> None:
    """The local document decides, is not stale whatever the source does, and the source's decides again afterwards."""
    told = start()
    told.table.deliver(content("dc1"))
    told.decides("dc1")
    told.table.override(OVERRIDE, content("dc9"))
    view = told.decides("dc9")
    assert view.overridden
    assert "OVERRIDDEN by file:/etc/override.yaml since 2027-01-15T08:00:00Z" in view.error
    told.table.deliver(AWAY)
    eventually(lambda: told.view.status.state is SourceState.DISCONNECTED, "the loss of the source")
    assert told.view.state is not None
    assert not told.view.state.stale
    told.table.deliver(content("dc2"))
    eventually(lambda: told.view.source_text == b"dc2", "the source's new text")
    assert told.view.text == b"dc9"
    told.table.override(OVERRIDE, Missing("gone"))
    view = told.decides("dc2")
    assert (view.override, view.error) == (None, "")
    assert told.generations() == sorted(told.generations())


def test_a_bad_override_does_not_decide(start: Start) -> None:
    """A text that is refused changes no decision, at the first as later, and the operator is told why."""
    told = start()
    told.table.deliver(content("dc1"))
    told.table.override(OVERRIDE, content("default: [1]"))
    eventually(lambda: "is refused: default" in told.view.error, "the refusal")
    told.decides("dc1")
    told.table.override(OVERRIDE, content("dc9"))
    told.decides("dc9")
    told.table.override(OVERRIDE, content("default: [2]"))
    eventually(lambda: "is refused" in told.view.error, "the refusal")
    told.decides("dc9")
    told.table.override(OVERRIDE, content("dc9"))
    eventually(lambda: "is refused" not in told.view.error, "the good text again")


def test_an_override_that_cannot_be_read_stays(start: Start) -> None:
    """Only a file that is gone ends an override: one that cannot be read does not."""
    told = start()
    told.table.deliver(content("dc1"))
    told.table.override(OVERRIDE, content("dc9"))
    told.decides("dc9")
    told.table.override(OVERRIDE, Unreachable("permission denied"))
    eventually(lambda: "permission denied" in told.view.error, "the trouble")
    assert told.view.text == b"dc9"


def test_an_override_alone_stays_until_there_is_another_document(start: Start) -> None:
    """While the source has no document, the end of the override leaves it in force: somebody must decide."""
    told = start()
    told.table.override(OVERRIDE, content("dc9"))
    told.decides("dc9")
    told.table.override(OVERRIDE, Missing("gone"))
    eventually(lambda: "its file is gone, and there is no other document" in told.view.error, "the trouble")
    assert told.view.text == b"dc9"
    told.table.deliver(content("dc1"))
    eventually(lambda: told.view.source_text == b"dc1", "the source's text")
    told.table.override(OVERRIDE, Missing("gone"))
    told.decides("dc1")


def test_too_stale_is_not_ready_but_decides(start: Start) -> None:
    """After --max-stale without the source the view is not ready, its State stays, and a return ends that."""
    told = start(max_stale=60)
    told.table.deliver(content("dc1"))
    told.decides("dc1")
    told.table.deliver(AWAY)
    eventually(lambda: told.view.state is not None and told.view.state.stale, "staleness")
    told.seconds = 59.0
    told.clock.advance(3600)  # the wall clock does not count
    told.table.judge({})
    told.table.judge({})
    assert told.view.ready
    told.seconds = 61.0
    eventually(lambda: not told.view.ready, "the end of readiness")
    assert told.view.text == b"dc1"
    told.table.deliver(content("dc1"))
    eventually(lambda: told.view.ready, "readiness")


def test_verdicts_of_health_checks_make_a_state(start: Start) -> None:
    """What health checks judge down is out of service in the next generation, and in service again afterwards."""
    told = start()
    told.table.deliver(content("default: {active: dc1, backups: [dc2]}"))
    eventually(lambda: told.view.state, "a document")
    told.table.judge({"dc1": "probes: refused"}, "a notice")
    eventually(lambda: told.view.state is not None and told.view.state.out == {"dc1": "probes: refused"}, "a verdict")
    assert told.view.error == "a notice"
    told.table.judge({})
    eventually(lambda: told.view.state is not None and not told.view.state.out, "the verdict's end")
    assert told.generations()[-3:] == [1, 2, 3]


_RAMP = "default: {ramp: {from: dc1, to: dc2, start: 2027-01-15T08:00:00Z, duration: 10h}}"


def test_a_clock_that_jumps_fires_one_step(start: Start) -> None:
    """A jump over many ramp steps leads to where the ramp stands now in one generation; a jump back goes back."""
    told = start()
    told.table.deliver(content(_RAMP))
    eventually(lambda: told.view.state, "a document")
    for hours, generation in ((5, 2), (-3, 3)):
        told.clock.advance(hours * 3600 + 1)
        eventually(lambda: len(told.views) == generation, "the next generation")  # noqa: B023
    route = parse_document(_RAMP.encode()).default
    assert told.view.state is not None
    assert told.view.state.resolve(("a",), "a", "").weights == (("dc1", 8.0), ("dc2", 2.0))
    assert told.view.state.document.default == route
    assert told.generations() == [1, 2, 3]


def test_a_clock_that_jumps_ends_a_drill_by_no_more_than_the_jump(start: Start) -> None:
    """A jump forward ends a drill when the clock says so; back before its end, it is on again."""
    told = start()
    told.table.deliver(content("{default: dc1, drills: [{datacenter: dc1, until: 2027-01-15T09:00:00Z}]}"))
    eventually(lambda: told.view.state is not None and told.view.state.out, "the drill")
    told.clock.advance(3599)
    told.table.judge({})
    assert told.view.state is not None
    assert told.view.state.out
    told.clock.advance(1)
    eventually(lambda: told.view.state is not None and not told.view.state.out, "the drill's end")
    told.clock.advance(-10)
    eventually(lambda: told.view.state is not None and told.view.state.out, "the drill again")


def test_who_waits_for_a_change_is_woken(start: Start) -> None:
    """`wait` returns with the State after the one that was seen."""
    told = start()
    found: list[View] = []
    waiter = threading.Thread(target=lambda: found.append(told.table.wait(None, 10)))
    waiter.start()
    told.table.deliver(content("dc1"))
    waiter.join(10)
    assert [view.text for view in found] == [b"dc1"]


_PATIENT = "default: {active: dc1, backups: [dc2], failover: {after: 10s, back_after: 1m}}"
_ILL = Observation(("billing", ""), {"dc1": "no workers"}, ("dc2",))
_WELL = Observation(("billing", ""), {}, ("dc1",))


def test_what_decisions_show_makes_states_in_time(start: Start) -> None:
    """A fault that lasts makes work leave, wellness that lasts lets it return: by the stopwatch, not the wall clock."""
    told = start()
    told.table.deliver(content(_PATIENT))
    told.decides(_PATIENT)
    told.table.observe(_ILL)
    eventually(lambda: told.view.state is not None and told.view.state.failover_states, "the fault to be timed")
    told.clock.advance(3600)
    assert told.view.state is not None
    assert not told.view.state.failed_over
    told.seconds = 10.0
    gone = {("billing", ""): {"dc1": "failed over: no workers, since 2027-01-15T08:00:10Z"}}
    eventually(lambda: told.view.state is not None and told.view.state.failed_over == gone, "the failover")
    told.table.observe(_WELL)
    told.seconds = 30.0
    eventually(lambda: told.generations()[-1] == 4, "the wellness to be timed")
    assert told.view.state.failed_over == gone
    told.seconds = 100.0
    eventually(lambda: told.view.state is not None and not told.view.state.failed_over, "the return")
    assert told.generations() == [1, 2, 3, 4, 5]


def test_failovers_of_before_the_start_go_on(start: Start) -> None:
    """What work had left when the sidecar ended, it has left when it starts: no job goes back by a restart."""
    told = Told()
    told.table.restore(_PATIENT.encode(), parse_document(_PATIENT.encode()), 7)
    told.table.remember({(("billing", ""), "dc1"): FailoverState(Phase.FAILED, 5, 5, "no workers")})
    told.table.start()
    assert told.view.state is not None
    assert ("billing", "") in told.view.state.failed_over
    told.table.stop()
    other = start()
    other.table.remember({(("billing", ""), "dc1"): FailoverState(Phase.FAILED, 5, 5, "no workers")})
    other.table.deliver(content("dc1"))
    other.decides("dc1")
    assert other.view.state is not None
    assert not other.view.state.failed_over
