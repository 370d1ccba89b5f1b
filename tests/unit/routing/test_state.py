"""What decisions are made from."""

from __future__ import annotations

from dataclasses import replace

from sidecar.pb.dcsidecar.v1 import routing_pb2
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.model import Drill
from sidecar.routing.outage import MARKED, Fault, FaultKind, Outage, OutageKind, unhealthy
from sidecar.routing.scalars import SECOND_NS
from sidecar.routing.state import State

DOCUMENT = parse_document(b"""
    datacenters: {dc1: {}, dc2: {available: false}, dc3: {}, dc4: {}}
    default: {active: dc1, backups: [dc2, dc3, dc4]}
    apps: {a: {split: {dc1: 1, dc3: 1}}, b: {ramp: {from: dc1, to: dc3, start: "1970-01-01T00:00:00Z", duration: 10s}}}
    drills:
      - {datacenter: dc1, until: "1970-01-01T00:00:05Z", reason: Q4}
      - {datacenter: dc2, until: "1970-01-01T00:00:05Z", apps: [a, seven]}
      - {datacenter: dc3, until: "1970-01-01T00:00:05Z", apps: [seven]}
""")

PROBE = unhealthy(Fault(FaultKind.OTHER, text="probe timed out"))
Q4 = Outage(OutageKind.DRILL, until_ns=5 * SECOND_NS, reason="Q4")
DRILL = Outage(OutageKind.DRILL, until_ns=5 * SECOND_NS)


def test_says_what_is_out_and_why() -> None:
    """A mark counts before a drill, a drill before a health check."""
    state = State(DOCUMENT, 1, 0, unhealthy={"dc1": PROBE, "dc4": PROBE})
    assert state.out == {"dc1": Q4, "dc2": MARKED, "dc4": PROBE}
    assert State(DOCUMENT, 1, 5 * SECOND_NS, unhealthy={"dc1": PROBE}).out == {"dc1": PROBE, "dc2": MARKED}


def test_drills_of_some_applications_are_out_for_them_only() -> None:
    """They count under any name of the application, and do not hide a mark."""
    state = State(DOCUMENT, 1, 0)
    assert state.resolve(("x",), "x", "").out == {"dc1": Q4, "dc2": MARKED}
    assert state.resolve(("a",), "a", "").out == {"dc1": Q4, "dc2": MARKED}
    assert state.resolve(("x", "seven"), "x", "").out == {"dc1": Q4, "dc2": MARKED, "dc3": DRILL}


def test_a_drill_for_some_and_one_for_all_end_when_both_have() -> None:
    """For the applications of the one the reason is theirs, and the end that of the later one."""
    drills = "[{datacenter: dc1, until: '1970-01-01T00:00:09Z'}, {datacenter: dc1, until: '1970-01-01T00:00:05Z', apps: [a], reason: Q4}]"  # noqa: E501
    state = State(parse_document(f"default: dc1\ndrills: {drills}".encode()), 1, 0)
    assert state.resolve(("a",), "a", "").out == {"dc1": Outage(OutageKind.DRILL, until_ns=9 * SECOND_NS, reason="Q4")}
    assert state.resolve(("b",), "b", "").out == {"dc1": Outage(OutageKind.DRILL, until_ns=9 * SECOND_NS)}


def test_the_application_is_the_first_name_that_the_document_has() -> None:
    """Else the first name there is."""
    state = State(DOCUMENT, 1, 0)
    assert state.application(("7", "b", "a")) == "b"
    assert state.application(("7", "eight")) == "7"


def test_naming_an_application_moves_none_of_its_jobs() -> None:
    """The scores are taken over the request's `app`, whichever of its names the document uses, or none."""
    candidates = [routing_pb2.Worker(address=name, datacenter=name) for name in ("dc1", "dc3")]

    def places(apps: str) -> list[str]:
        state = State(parse_document(f"default: {{split: {{dc1: 90, dc3: 10}}}}\n{apps}".encode()), 1, 0)
        return [decide(state, "a", str(job), "", candidates, ("42",)).datacenter for job in range(400)]

    unnamed = places("")
    assert 20 <= unnamed.count("dc3") <= 60
    assert places("apps: {a: {min_workers: 1}}") == unnamed
    assert places('apps: {"42": {min_workers: 1}}') == unnamed
    assert places('apps: {"42": {split: {dc1: 90, dc3: 10}}}') == unnamed


def test_resolved_routes_are_remembered_by_route_and_drills() -> None:
    """However many applications and jobs ask, there are as many as the document has routes."""
    state = State(DOCUMENT, 1, 0)
    first = state.resolve(("x",), "x", "1")
    assert state.resolve(("y",), "y", "2") is first
    assert state.resolve(("y", "seven"), "y", "2") is not first
    assert state.resolve(("a",), "a", "1").order is None
    for n in range(1000):
        state.resolve((f"x{n}",), f"x{n}", str(n))
    assert len(state._resolved) == 3


def test_another_state_remembers_nothing_of_the_one_before() -> None:
    """A ramp's next step is resolved anew."""
    state = State(DOCUMENT, 1, 0)
    assert state.resolve(("b",), "b", "").weights == (("dc1", 10.0), ("dc3", 0.0))
    assert state.resolve(("b",), "b", "").order == ("dc1", "dc2", "dc3", "dc4")
    later = replace(state, generation=2, now_ns=3 * SECOND_NS)
    assert later.resolve(("b",), "b", "").weights == (("dc1", 7.0), ("dc3", 3.0))
    assert (state.until_ns, later.since_ns, later.until_ns) == (SECOND_NS, 3 * SECOND_NS, 4 * SECOND_NS)


def test_a_drill_covers_the_applications_that_it_names() -> None:
    """By any of their names; without `apps` it covers all."""
    some, everything = Drill("dc1", 9, apps=frozenset({"a"})), Drill("dc1", 9)
    assert some.covers(("7", "a"))
    assert not some.covers(("7",))
    assert everything.covers(("7",))
