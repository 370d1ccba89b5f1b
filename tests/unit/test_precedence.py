from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from sidecar.lifecycle import SourceState
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, Observation, Phase
from sidecar.routing.outage import NO_WORKERS, Outage, OutageKind, unhealthy
from sidecar.sources.base import Content, Missing, Unreachable
from sidecar.table import RoutingTable
from sidecar.testing import FakeClock
from sidecar.view import HealthNotice, LoadedDocument, SkippedProbe, SkipReason, View
from sidecar.wording import view_text
from tests.waiting import eventually

OVERRIDE = "file:/etc/override.yaml"
AWAY = Unreachable("connection refused")


def content(text: str) -> Content:
    """Return the report of a text."""
    return Content(text.encode(), text)


class Running:
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

    def source_text(self) -> bytes:
        return self.view.source.text if self.view.source else b""

    def generations(self) -> list[int]:
        return [view.state.generation for view in self.views if view.state is not None]


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start tables, and stop them when the test is over."""
    started: list[Running] = []

    def begin(*, max_stale: float | None = None) -> Running:
        running = Running(max_stale)
        started.append(running)
        running.table.start()
        return running

    yield begin
    for running in started:
        running.table.stop()


Start = Callable[..., Running]


def test_what_was_delivered_before_the_start_decides_the_first_call() -> None:
    """Once `start` has returned, an override that was there is in force: no call is answered by anything else."""
    running = Running()
    running.table.restore(LoadedDocument(b"dc1", parse_document(b"dc1")), 7)
    running.table.override(OVERRIDE, content("dc9"))
    running.table.start()
    assert running.view.text == b"dc9"
    running.table.stop()


def test_an_override_wins_while_its_file_exists(start: Start) -> None:
    """The local document decides, is not stale whatever the source does, and the source's decides again afterwards."""
    running = start()
    running.table.deliver(content("dc1"))
    running.decides("dc1")
    running.table.override(OVERRIDE, content("dc9"))
    view = running.decides("dc9")
    assert view.overridden
    assert "OVERRIDDEN by file:/etc/override.yaml since 2027-01-15T08:00:00Z" in view_text(view)
    running.table.deliver(AWAY)
    eventually(lambda: running.view.status.state is SourceState.DISCONNECTED, "the loss of the source")
    assert running.view.state is not None
    assert not running.view.state.stale
    running.table.deliver(content("dc2"))
    eventually(lambda: running.source_text() == b"dc2", "the source's new text")
    assert running.view.text == b"dc9"
    running.table.override(OVERRIDE, Missing("gone"))
    view = running.decides("dc2")
    assert (view.override, view_text(view)) == (None, "")
    assert running.generations() == sorted(running.generations())


def test_a_bad_override_does_not_decide(start: Start) -> None:
    """A text that is refused changes no decision, at the first as later, and the operator is running why."""
    running = start()
    running.table.deliver(content("dc1"))
    running.table.override(OVERRIDE, content("default: [1]"))
    eventually(lambda: "is refused: default" in view_text(running.view), "the refusal")
    running.decides("dc1")
    running.table.override(OVERRIDE, content("dc9"))
    running.decides("dc9")
    running.table.override(OVERRIDE, content("default: [2]"))
    eventually(lambda: "is refused" in view_text(running.view), "the refusal")
    running.decides("dc9")
    running.table.override(OVERRIDE, content("dc9"))
    eventually(lambda: "is refused" not in view_text(running.view), "the good text again")


def test_an_override_that_cannot_be_read_stays(start: Start) -> None:
    """Only a file that is gone ends an override: one that cannot be read does not."""
    running = start()
    running.table.deliver(content("dc1"))
    running.table.override(OVERRIDE, content("dc9"))
    running.decides("dc9")
    running.table.override(OVERRIDE, Unreachable("permission denied"))
    eventually(lambda: "permission denied" in view_text(running.view), "the trouble")
    assert running.view.text == b"dc9"


def test_an_override_alone_stays_until_there_is_another_document(start: Start) -> None:
    """While the source has no document, the end of the override leaves it in force: somebody must decide."""
    running = start()
    running.table.override(OVERRIDE, content("dc9"))
    running.decides("dc9")
    running.table.override(OVERRIDE, Missing("gone"))
    eventually(lambda: "its file is gone, and there is no other document" in view_text(running.view), "the trouble")
    assert running.view.text == b"dc9"
    running.table.deliver(content("dc1"))
    eventually(lambda: running.source_text() == b"dc1", "the source's text")
    running.table.override(OVERRIDE, Missing("gone"))
    running.decides("dc1")


def test_too_stale_is_not_ready_but_decides(start: Start) -> None:
    """After --max-stale without the source the view is not ready, its State stays, and a return ends that."""
    running = start(max_stale=60)
    running.table.deliver(content("dc1"))
    running.decides("dc1")
    running.table.deliver(AWAY)
    eventually(lambda: running.view.state is not None and running.view.state.stale, "staleness")
    running.seconds = 59.0
    running.clock.advance(3600)  # the wall clock does not count
    running.table.judge({})
    running.table.judge({})
    assert running.view.ready
    running.seconds = 61.0
    eventually(lambda: not running.view.ready, "the end of readiness")
    assert running.view.text == b"dc1"
    running.table.deliver(content("dc1"))
    eventually(lambda: running.view.ready, "readiness")


def test_verdicts_of_health_checks_make_a_state(start: Start) -> None:
    """What health checks judge down is out of service in the next generation, and in service again afterwards."""
    running = start()
    running.table.deliver(content("default: {active: dc1, backups: [dc2]}"))
    eventually(lambda: running.view.state, "a document")
    down = {"dc1": unhealthy(NO_WORKERS)}
    skipped = SkippedProbe("dc2", "tcp gw:1", SkipReason.TOO_MANY, count=64)
    running.table.judge(down, HealthNotice(skipped=(skipped,)))
    eventually(lambda: running.view.state is not None and running.view.state.out == down, "a verdict")
    assert view_text(running.view) == "these probes are not made: tcp gw:1 of dc2: there are 64 already"
    running.table.judge({})
    eventually(lambda: running.view.state is not None and not running.view.state.out, "the verdict's end")
    assert running.generations()[-3:] == [1, 2, 3]


_RAMP = "default: {ramp: {from: dc1, to: dc2, start: 2027-01-15T08:00:00Z, duration: 10h}}"


def test_a_clock_that_jumps_fires_one_step(start: Start) -> None:
    """A jump over many ramp steps leads to where the ramp stands now in one generation; a jump back goes back."""
    running = start()
    running.table.deliver(content(_RAMP))
    eventually(lambda: running.view.state, "a document")
    for hours, generation in ((5, 2), (-3, 3)):
        running.clock.advance(hours * 3600 + 1)
        eventually(lambda: len(running.views) == generation, "the next generation")  # noqa: B023
    route = parse_document(_RAMP.encode()).default
    assert running.view.state is not None
    assert running.view.state.resolve(("a",), "a", "").weights == (("dc1", 8.0), ("dc2", 2.0))
    assert running.view.state.document.default == route
    assert running.generations() == [1, 2, 3]


def test_a_clock_that_jumps_ends_a_drill_by_no_more_than_the_jump(start: Start) -> None:
    """A jump forward ends a drill when the clock says so; back before its end, it is on again."""
    running = start()
    running.table.deliver(content("{default: dc1, drills: [{datacenter: dc1, until: 2027-01-15T09:00:00Z}]}"))
    eventually(lambda: running.view.state is not None and running.view.state.out, "the drill")
    running.clock.advance(3599)
    running.table.judge({})
    assert running.view.state is not None
    assert running.view.state.out
    running.clock.advance(1)
    eventually(lambda: running.view.state is not None and not running.view.state.out, "the drill's end")
    running.clock.advance(-10)
    eventually(lambda: running.view.state is not None and running.view.state.out, "the drill again")


def test_who_waits_for_a_change_is_woken(start: Start) -> None:
    """`wait` returns with the State after the one that was seen."""
    running = start()
    found: list[View] = []
    waiter = threading.Thread(target=lambda: found.append(running.table.wait(None, 10)))
    waiter.start()
    running.table.deliver(content("dc1"))
    waiter.join(10)
    assert [view.text for view in found] == [b"dc1"]


_PATIENT = "default: {active: dc1, backups: [dc2], failover: {after: 10s, back_after: 1m}}\napps: {billing: {}}"
_ILL = [Observation(("billing", ""), {"dc1": NO_WORKERS}, ("dc2",), request) for request in range(3)]
_WELL = [Observation(("billing", ""), {}, ("dc1",), request) for request in range(3)]


def test_what_decisions_show_makes_states_in_time(start: Start) -> None:
    """A fault that lasts makes work leave, wellness that lasts lets it return: by the stopwatch, not the wall clock."""
    running = start()
    running.table.deliver(content(_PATIENT))
    running.decides(_PATIENT)
    for each in _ILL:
        running.table.observe(each)
    eventually(lambda: running.view.state is not None and running.view.state.failover_states, "the fault to be timed")
    running.clock.advance(3600)
    assert running.view.state is not None
    assert not running.view.state.failed_over
    running.seconds = 10.0
    outage = Outage(OutageKind.FAILED_OVER, since_ns=1_800_000_010 * 10**9, fault=NO_WORKERS)
    gone = {("billing", ""): {"dc1": outage}}
    eventually(lambda: running.view.state is not None and running.view.state.failed_over == gone, "the failover")
    for each in _WELL:
        running.table.observe(each)
    running.seconds = 30.0
    eventually(lambda: running.generations()[-1] == 4, "the wellness to be timed")
    assert running.view.state.failed_over == gone
    running.seconds = 100.0
    eventually(lambda: running.view.state is not None and not running.view.state.failed_over, "the return")
    assert running.generations() == [1, 2, 3, 4, 5]


def test_failovers_of_before_the_start_go_on(start: Start) -> None:
    """What work had left when the sidecar ended, it has left when it starts: no job goes back by a restart."""
    running = Running()
    running.table.restore(LoadedDocument(_PATIENT.encode(), parse_document(_PATIENT.encode())), 7)
    running.table.remember({(("billing", ""), "dc1"): FailoverState(Phase.FAILED, 5, 5, NO_WORKERS)})
    running.table.start()
    assert running.view.state is not None
    assert ("billing", "") in running.view.state.failed_over
    running.table.stop()
    other = start()
    other.table.remember({(("billing", ""), "dc1"): FailoverState(Phase.FAILED, 5, 5, NO_WORKERS)})
    other.table.deliver(content("dc1"))
    other.decides("dc1")
    assert other.view.state is not None
    assert not other.view.state.failed_over
