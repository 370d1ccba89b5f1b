import pytest

from sidecar.routing.changes import changes
from sidecar.routing.document import parse_document
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.routing.wording import change_text

NOON = parse_time("2026-11-22T12:00:00Z") or 0
HOUR_NS = 3_600_000_000_000


def state(text: str, now_ns: int = NOON) -> State:
    """Return the State of a document at a time."""
    return State(parse_document(text.encode()), generation=1, now_ns=now_ns)


def texts(before: str, after: str) -> list[str]:
    """Return what changes from one text to the other, in English."""
    return [change_text(change) for change in changes(state(before), state(after))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("dc1", "dc2", ["default: dc1 → dc2"]),
        ("dc1", "default: dc1 # a comment", []),
        ("dc1", "default: {active: dc1, backups: [dc2]}", ["default: then nobody → then dc2"]),
        ("dc1", "default: {split: {dc1: 9, dc2: 1}}", ["default: dc1 → dc1 90 %, dc2 10 %"]),
        ("dc1", "default: {active: dc1, min_workers: 2}", ["default: min_workers 1 → min_workers 2"]),
        ("dc1", "default: {active: dc1, on_empty: any}", ["default: on_empty reject → on_empty any"]),
        ("dc1", "default: {active: dc1, sticky: instance}", ["default: sticky job → sticky instance"]),
        (
            "dc1",
            "default: {active: dc1, failover: {back_after: 1m}}",
            ["default: failover at once → failover at once, back after 1m"],
        ),
        ("default: dc1\napps: {a: dc2}", "default: dc1", ["a: dc2 → dc1"]),
        ("default: dc1", "default: dc1\napps: {a: dc1}", []),
        ("apps: {a: dc1}", "apps: {a: dc2}", ["a: dc1 → dc2"]),
        ("apps: {a: dc1}", "apps: {b: dc1}", ["b: anywhere → dc1", "a: dc1 → anywhere"]),
        ("apps: {a: dc1}", "apps: {a: {active: dc1, jobs: {'7': dc2}}}", ["a/7: dc1 → dc2"]),
        (
            'default: dc1\nworkers: [{match: "w-1:*", available: false}]',
            'default: dc1\nworkers: [{match: "w-1:*", available: false}, {match: w-2, available: false, reason: disk}]',
            ["w-2: available → drained (disk)"],
        ),
        ('default: dc1\nworkers: [{match: "w-1:*", available: false}]', "dc1", ["w-1:*: drained → available"]),
        (
            "default: dc1\napps: {a: {active: dc1}, b: dc1, c: dc1, d: dc1}",
            "default: dc2\napps: {a: dc2, b: dc2, c: dc2, d: dc1}",
            ["default, a, b and 1 more: dc1 → dc2"],
        ),
        (
            "datacenters: [dc1, dc2]\ndefault: dc1",
            "datacenters: {dc1: {available: false}, dc2: {}}\ndefault: dc1",
            ["dc1: in service → out of service (marked)"],
        ),
        ("default: {split: {dc1: 1e308, dc2: 1e308}}", "dc1", ["default: dc1 50 %, dc2 50 % → dc1"]),
    ],
)
def test_a_change_is_told_in_words(before: str, after: str, expected: list[str]) -> None:
    """What decides differently is said once for all it concerns; what decides the same is not said at all."""
    assert texts(before, after) == expected


def test_a_first_document_tells_where_everything_goes() -> None:
    """Without a document before, each route is reported whole."""
    assert [change_text(change) for change in changes(None, state("default: {active: dc1, backups: [dc1, dc2]}"))] == [
        "default: dc1, then dc2"
    ]


def test_a_ramp_step_is_a_change() -> None:
    """As the clock moves a ramp, the new shares are reported; between steps nothing is."""
    text = 'apps: {a: {ramp: {from: dc1, to: dc2, start: "2026-11-22T12:00:00Z", duration: 4h, steps: 4}}}'
    at = [state(text, NOON + hours * HOUR_NS) for hours in range(3)]
    assert [change_text(change) for change in changes(at[0], at[1])] == ["a: dc1 → dc1 75 %, dc2 25 %"]
    assert [change_text(change) for change in changes(at[1], at[2])] == ["a: dc1 75 %, dc2 25 % → dc1 50 %, dc2 50 %"]
    assert changes(at[1], state(text, NOON + HOUR_NS + 1)) == []


def test_a_ramp_that_is_planned_differently_is_a_change() -> None:
    """A ramp's new course is reported, also while its shares are still the same."""
    ramp = 'default: {{ramp: {{from: dc1, to: dc2, start: "2026-11-22T13:00:00Z", duration: {}}}}}'
    assert texts(ramp.format("1h"), ramp.format("2h")) == [
        (
            "default: ramp to dc2 from 2026-11-22T13:00:00Z over 1h in 10 steps"
            " → ramp to dc2 from 2026-11-22T13:00:00Z over 2h in 10 steps"
        )
    ]


def test_drills_are_told_with_whom_they_cover() -> None:
    """The start of a drill, its end, and the applications it is for are in the words."""
    text = 'default: dc1\ndrills: [{datacenter: dc1, start: "2026-11-22T13:00:00Z", until: "2026-11-22T14:00:00Z"%s}]'
    everybody, some = text % ", reason: Q4", text % ", apps: [d, c, b, a]"
    assert [change_text(c) for c in changes(state(everybody), state(everybody, NOON + HOUR_NS))] == [
        "dc1: in service → out of service (drill: Q4)"
    ]
    assert [change_text(c) for c in changes(state(some), state(some, NOON + HOUR_NS))] == [
        "dc1: in service → out of service for a, b, c and 1 more (drill)"
    ]
    assert [change_text(c) for c in changes(state(some, NOON + HOUR_NS), state(some, NOON + 2 * HOUR_NS))] == [
        "dc1: out of service for a, b, c and 1 more (drill) → in service"
    ]


def test_a_drill_for_some_is_not_told_of_a_datacenter_that_is_out_for_all() -> None:
    """What holds for everybody is the news; a drill for some applications on top of it changes nothing."""
    drill = "{datacenter: dc1, until: '2027-01-01T00:00:00Z', apps: [a]}"
    text = "datacenters: {dc1: {available: %s}}\ndefault: dc1\ndrills: [" + drill + "]"
    assert texts(text % "true", text % "false") == [
        "dc1: out of service for a (drill) → out of service (marked)",
    ]
