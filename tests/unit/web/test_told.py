"""What the API tells of a State: shares, datacenters, refusals."""

from __future__ import annotations

import msgspec
import pytest

from sidecar.errors import BadRequest, DocumentRejected
from sidecar.lifecycle import RejectedDocument
from sidecar.routing.document import parse_document
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.web.routes import all_json, app_json
from sidecar.web.status import cause_of, datacenter_json, datacenters, moment, refusal_json
from sidecar.web.whatif import candidates, what_if

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


def test_a_backup_takes_all_where_the_active_one_is_out() -> None:
    """With the active datacenter marked, the first backup in service has all jobs."""
    text = b"{datacenters: {dc1: {available: false}, dc2: {available: false}, dc3: {}}, default: {active: dc1, backups: [dc2, dc3]}}"  # noqa: E501
    told = app_json(a_state(text), "billing")
    assert told["shares"] == {"dc3": 1.0}
    assert told["unavailable"] == {"dc1": "marked", "dc2": "marked"}


def test_all_routes_are_those_of_each_application() -> None:
    """The list tells of each application what is told of it alone, and how many jobs have their own route."""
    state = a_state()
    told = msgspec.json.decode(all_json(state))
    assert told["apps"].keys() == {"even", "moving", "alone", "plain"}
    for app, route in told["apps"].items():
        one = app_json(state, app)
        assert route.pop("jobs") == len(one["jobs"])
        assert all(one[key] == value for key, value in msgspec.json.decode(msgspec.json.encode(route)).items()) or (
            msgspec.json.decode(msgspec.json.encode(one)).items() >= route.items()
        )
    assert told["apps"]["moving"]["ramp"]["step"] == 2


def test_datacenters_are_those_that_are_named() -> None:
    """Without a `datacenters` block the routes name them; a drill for some applications is told as a cause."""
    state = a_state()
    assert datacenters(state) == ("dc1", "dc2", "dc3")
    assert datacenter_json(state, "dc1") == {
        "name": "dc1",
        "in_service": True,
        "cause": "drill",
        "why": "",
        "until": "2026-11-22T13:00:00Z",
    }


def test_causes_are_told_apart() -> None:
    """What a State says of a datacenter that is out is a mark, a drill or a health check."""
    assert [cause_of(why) for why in ("marked", "drill", "drill: Q4", "probes: tcp x:1: refused")] == [
        "mark",
        "drill",
        "drill",
        "health",
    ]


def test_a_refusal_marks_its_line() -> None:
    """The excerpt holds the line of the problem, marked, with three lines on either side."""
    text = b"default: dc1\napps:\n  a: dc1\n  b: {activ: dc1}\n  c: dc1\n  d: dc1\n  e: dc1\n  f: dc1\n"
    with pytest.raises(DocumentRejected) as refused:
        parse_document(text)
    told = refusal_json(RejectedDocument("abc", refused.value, NOON, text))
    problem = told["problems"][0]
    assert problem["line"] == 4
    assert [line["number"] for line in problem["excerpt"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [line["text"] for line in problem["excerpt"] if line["marked"]] == ["  b: {activ: dc1}"]


def test_what_if_tells_decision_and_steps() -> None:
    """The answer is the decision under this very State, with its drills, and the order it came from."""
    told = what_if(a_state(), DOCUMENT, "even", "7", "", candidates("dc1=2, dc2=1"))
    assert told["decision"] == {"reason": "SPLIT", "datacenter": "dc2", "selected": 1, "candidates": 3} or (
        told["decision"] == {"reason": "FAILOVER", "datacenter": "dc2", "selected": 1, "candidates": 3}
    )
    assert next(choice for choice in told["order"] if choice["datacenter"] == "dc1")["out"] == "drill: Q4"
    assert told["keys"][0]["origin"] == "apps.even"


@pytest.mark.parametrize("text", ["dc1", "dc1=", "=3", "dc1=3;dc2=1", "dc1=99999", "dc1=2000,dc2=1"])
def test_candidates_are_checked(text: str) -> None:
    """What is no list of counts, or too many, is refused with what is expected."""
    with pytest.raises(BadRequest, match="candidates: found"):
        candidates(text)


def test_moments_are_told_to_the_millisecond() -> None:
    """Never is null, everything else RFC 3339."""
    assert moment(0) is None
    assert moment(NOON + 1_234_567) == "2026-11-22T12:00:00.001Z"
