"""What another State moves."""

from __future__ import annotations

import pytest

from sidecar.audit.event import EventKind
from sidecar.audit.traffic_moves import moves
from sidecar.audit.wording import move_text
from sidecar.routing.shares import Destination, Shares
from sidecar.routing.state import State
from tests.unit.audit.views import view

DC1 = "default: {active: dc1, backups: [dc2]}"
RAMP = 'default: {ramp: {from: dc1, to: dc2, start: "2026-11-22T10:00:00Z", duration: 10m}}'
DRILL = 'drills: [{datacenter: dc1, start: "2026-11-22T11:00:00Z", until: "2026-11-22T12:00:00Z", apps: [billing]}]'


def state(text: str, at: str = "2026-11-22T10:00:00Z", **down: str) -> State:
    """Return the State of a document at a time."""
    found = view(text, at, down=down).state
    assert found is not None
    return found


Move = tuple[str, tuple[str, ...], str]


def moves_of(before: State, after: State) -> list[Move]:
    """Return what moves: the kind, whose work, and from where to where."""
    return [(move.kind.value, move.subjects, move_text(move.before, move.after)) for move in moves(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("dc1", "dc2", [("switch", ("default",), "dc1 → dc2")]),
        (DC1, f"{DC1} # a comment", []),
        (
            "dc1",
            "default: {split: {dc1: 3, dc2: 1}}",
            [("switch", ("default",), "dc1 → dc1 75 %, dc2 25 %")],
        ),
        ("default: {split: {dc1: 3, dc2: 0}}", "dc1", []),
        ("apps: {a: dc1, b: dc1}", "apps: {a: dc2, b: dc2}", [("switch", ("a", "b"), "dc1 → dc2")]),
        (
            "apps: {a: {active: dc1, jobs: {'7': dc3}}}",
            "apps: {a: {active: dc1, jobs: {'8': dc3}}}",
            [("switch", ("a/8",), "dc1 → dc3"), ("switch", ("a/7",), "dc3 → dc1")],
        ),
        (
            "apps: {a: dc1}",
            "default: dc2",
            [("switch", ("default",), "anywhere → dc2"), ("switch", ("a",), "dc1 → dc2")],
        ),
    ],
)
def test_what_a_document_moves(before: str, after: str, expected: list[Move]) -> None:
    """A document that sends work elsewhere is a switch of those whose work it is, and of nobody else."""
    assert moves_of(state(before), state(after)) == expected


def test_a_lost_datacenter_is_a_failover_and_then_a_return() -> None:
    """Work leaves a datacenter that is judged down for the backup, and comes back with it."""
    assert moves_of(state(DC1), state(DC1, dc1="probes")) == [("failover", ("default",), "dc1 → dc2")]
    assert moves_of(state(DC1, dc1="probes"), state(DC1)) == [("return", ("default",), "dc2 → dc1")]


def test_a_mark_by_hand_is_a_failover_too() -> None:
    """A document that marks a datacenter as out of service changes no route, but where work goes."""
    after = "{datacenters: {dc1: {available: false}, dc2: {}}, default: {active: dc1, backups: [dc2]}}"
    assert moves_of(state(DC1), state(after)) == [("failover", ("default",), "dc1 → dc2")]


@pytest.mark.parametrize(("more", "place"), [("", "nowhere"), ("on_empty: any", "anywhere in service")])
def test_nobody_left(more: str, place: str) -> None:
    """Where every datacenter of a route is out of service, the move says what becomes of the work."""
    text = f"default: {{active: dc1, {more}}}"
    assert moves_of(state(text), state(text, dc1="probes")) == [("failover", ("default",), f"dc1 → {place}")]


def test_a_split_loses_a_part() -> None:
    """Where one of several is lost, the others share its work."""
    text = "default: {split: {dc1: 1, dc2: 1, dc3: 1}}"
    (move,) = moves(state(text), state(text, dc3="probes"))
    assert move.kind is EventKind.FAILOVER
    assert move.after == Shares(Destination.DATACENTERS, (("dc1", 0.5), ("dc2", 0.5)))


def test_the_clock_moves_a_ramp() -> None:
    """A step of a ramp is no switch."""
    assert moves_of(state(RAMP), state(RAMP, "2026-11-22T10:03:00Z")) == [
        ("ramp-step", ("default",), "dc1 → dc1 70 %, dc2 30 %")
    ]


def test_a_drill_for_an_application_that_has_no_route_of_its_own() -> None:
    """A drill moves whom it names, also where the document names it nowhere else, and nobody else."""
    text = f"{DC1}\n{DRILL}"
    assert moves_of(state(text), state(text, "2026-11-22T11:30:00Z")) == [("failover", ("billing",), "dc1 → dc2")]


def test_a_switch_to_where_work_is_already_moves_nothing() -> None:
    """After a failover to dc2, a switch to dc2 moves no work."""
    assert moves_of(state(DC1, dc1="probes"), state("default: {active: dc2, backups: [dc1]}", dc1="probes")) == []
