"""What the API reports of a State: shares, datacenters, refusals."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import RejectedDocument
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, FailoverStates, Phase
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, ProbeFailure, unhealthy
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.web.routes import all_json, app_json
from sidecar.web.status import EncodedDocuments, document_json, refusal_json
from sidecar.web.whatif import what_if
from tests.timing import cpu_seconds

NOON = parse_time("2026-11-22T12:00:00Z") or 0
DOCUMENT = b"""
default: {active: dc1, backups: [dc2, dc3]}
apps:
  even: {split: {dc1: 50, dc2: 25, dc3: 25}}
  moving: {ramp: {from: dc1, to: dc2, start: "2026-11-22T11:00:00Z", duration: 2h, steps: 4}}
  alone: {active: dc1, backups: []}
  plain: {backups: [dc3, dc1], jobs: {"9": dc2}}
drills:
  - {datacenter: dc1, until: "2026-11-22T13:00:00Z", apps: [even, alone], reason: Q4}
"""


def a_state(text: bytes = DOCUMENT) -> State:
    """Return a document at noon."""
    return State(parse_document(text), generation=3, now_ns=NOON)


@pytest.mark.parametrize(
    ("app", "shares"),
    [
        ("nobody", {"dc1": 1.0}),
        ("even", {"dc2": 0.5, "dc3": 0.5}),
        ("moving", {"dc1": 0.5, "dc2": 0.5}),
        ("alone", {}),
    ],
)
def test_shares_are_what_each_datacenter_gets_now(app: str, shares: dict[str, float]) -> None:
    """A drilled datacenter's part spreads over the rest of a split; without backups nobody is left."""
    assert app_json(a_state(), app)["shares"] == shares


def _datacenter(state: State, name: str) -> dict[str, Any]:
    """Return a datacenter of a status."""
    (found,) = [each for each in document_json(state)["datacenters"] if each["name"] == name]
    return dict(found)


def test_many_drills_are_told_in_linear_time_and_once_for_a_state() -> None:
    """Ten times the drills take about ten times as long; each datacenter is listed once."""
    times = []
    for count in (500, 5000):
        drills = "".join(
            f"- {{datacenter: dc{n % 40}, apps: [a{n}], until: 2999-01-01T00:00:00Z}}\n" for n in range(count)
        )
        state = State(parse_document(f"default: dc0\ndrills:\n{drills}".encode()), 1, NOON)
        found = document_json(state)
        times.append(cpu_seconds(partial(document_json, state)))
        assert len(found["drills"]) == count
        assert len({each["name"] for each in found["datacenters"]}) == len(found["datacenters"]) == 40
        assert {each["cause"] for each in found["datacenters"]} == {"drill"}
    assert times[1] < 40 * times[0]


def test_the_encoded_part_of_the_status_is_computed_once_for_a_state() -> None:
    """It says the same as the plain one."""
    state = a_state()
    documents = EncodedDocuments()
    assert documents.of(state) is documents.of(state)
    for each in (state, None):
        encoded = msgspec.json.encode(documents.of(each))
        assert msgspec.json.decode(encoded) == msgspec.json.decode(msgspec.json.encode(document_json(each)))


def test_a_backup_takes_all_where_the_active_one_is_out() -> None:
    """With the active datacenter marked, the first backup in service has all jobs."""
    text = b"{datacenters: {dc1: {available: false}, dc2: {available: false}, dc3: {}}, default: {active: dc1, backups: [dc2, dc3]}}"  # noqa: E501
    found = app_json(a_state(text), "billing")
    assert found["shares"] == {"dc3": 1.0}
    assert found["unavailable"] == {"dc1": "marked", "dc2": "marked"}


def test_all_routes_are_those_of_each_application() -> None:
    """The list has of each application what a request for it alone returns, and how many jobs have their own route."""
    state = a_state()
    found = msgspec.json.decode(all_json(state))
    assert found["apps"].keys() == {"even", "moving", "alone", "plain"}
    for app, route in found["apps"].items():
        one = app_json(state, app)
        assert route.pop("jobs") == len(one["jobs"])
        assert all(one[key] == value for key, value in msgspec.json.decode(msgspec.json.encode(route)).items()) or (
            msgspec.json.decode(msgspec.json.encode(one)).items() >= route.items()
        )
    assert found["apps"]["moving"]["ramp"]["step"] == 2


def test_datacenters_are_those_that_are_named() -> None:
    """Without a `datacenters` block the routes name them; a drill for some applications is reported as a cause."""
    state = a_state()
    assert state.document.datacenter_names() == ("dc1", "dc2", "dc3")
    assert _datacenter(state, "dc1") == {
        "name": "dc1",
        "in_service": True,
        "cause": "drill",
        "why": "",
        "outage": None,
        "until": "2026-11-22T13:00:00Z",
    }


def test_causes_are_told_apart() -> None:
    """A datacenter that is out has a cause, the text, and the outage with its parameters."""
    text = b"{datacenters: {dc1: {available: false}, dc2: {}, dc3: {}}, default: dc1, drills: [{datacenter: dc2, until: 2027-01-01T00:00:00Z, reason: Q4}]}"  # noqa: E501
    fault = Fault(FaultKind.PROBES, probes=(ProbeFailure("tcp x:1", "refused"),), since_ns=NOON)
    state = State(parse_document(text), generation=1, now_ns=NOON, unhealthy={"dc3": unhealthy(fault)})
    found = [_datacenter(state, name) for name in ("dc1", "dc2", "dc3")]
    assert [each["cause"] for each in found] == ["mark", "drill", "health"]
    assert [each["why"] for each in found] == [
        "marked",
        "drill: Q4",
        "probes: tcp x:1: refused, since 2026-11-22T12:00:00Z",
    ]
    assert [each["outage"]["kind"] for each in found] == ["marked", "drill", "unhealthy"]
    assert found[2]["outage"]["fault"]["probes"] == [{"probe": "tcp x:1", "error": "refused"}]


def test_outages_of_a_route_are_in_its_json() -> None:
    """What is out, and what work has left, each with its kind; the texts of older clients beside."""
    text = b"{default: {active: dc1, backups: [dc2, dc3], failover: {back_after: 1m}}, apps: {a: {}}}"
    failed: FailoverStates = {(("a", ""), "dc2"): FailoverState(Phase.FAILED, NOON, NOON, NO_WORKERS)}
    state = State(parse_document(text), 1, NOON, unhealthy={"dc1": unhealthy(NO_WORKERS)}, failover_states=failed)
    found = app_json(state, "a")
    assert [(each["datacenter"], each["kind"]) for each in found["outages"]] == [
        ("dc1", "unhealthy"),
        ("dc2", "failed-over"),
    ]
    assert found["unavailable"] == {"dc1": "no workers"}
    assert found["left"] == {"dc2": "failed over: no workers, since 2026-11-22T12:00:00Z"}
    assert found["shares"] == {"dc3": 1.0}


def test_a_refusal_marks_its_line() -> None:
    """The excerpt holds the line of the problem, marked, with three lines on either side."""
    text = b"default: dc1\napps:\n  a: dc1\n  b: {activ: dc1}\n  c: dc1\n  d: dc1\n  e: dc1\n  f: dc1\n"
    with pytest.raises(DocumentRejected) as refused:
        parse_document(text)
    found = refusal_json(RejectedDocument("abc", refused.value, NOON, text))
    problem = found["problems"][0]
    assert problem["line"] == 4
    assert [line["number"] for line in problem["excerpt"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [line["text"] for line in problem["excerpt"] if line["marked"]] == ["  b: {activ: dc1}"]


def test_what_if_tells_decision_and_steps() -> None:
    """The answer is the decision under this very State, with its drills, and the order it came from."""
    found = what_if(a_state(), DOCUMENT, "even", "7", "", "dc1=2, dc2=1")
    assert found["decision"] == {"reason": "SPLIT", "datacenter": "dc2", "selected": 1, "candidates": 3} or (
        found["decision"] == {"reason": "FAILOVER", "datacenter": "dc2", "selected": 1, "candidates": 3}
    )
    assert next(choice for choice in found["order"] if choice["datacenter"] == "dc1")["out"] == "drill: Q4"
    assert found["keys"][0]["origin"] == "apps.even"
