"""Changes of routes and explanations as JSON: codes and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.client import Worker
from sidecar.routing.changes import ChangeKind, changes
from sidecar.routing.document import parse_document
from sidecar.routing.explain import explain
from sidecar.routing.explain_plain import explanation_plain
from sidecar.routing.failover import FailoverState, FailoverStates, Phase
from sidecar.routing.outage import NO_WORKERS
from sidecar.routing.plain import change_plain
from sidecar.routing.state import State
from sidecar.yaml_reader import read

RAMP = '{ramp: {from: dc1, to: dc2, start: "1970-01-01T01:00:00Z", duration: 1h30m, steps: 4}}'
RAMP_PLAIN = {"from": "dc1", "to": "dc2", "start": "1970-01-01T01:00:00Z", "duration": "1h30m", "steps": 4}
DRILL = "\ndrills: [{datacenter: dc1, until: 2026-01-01T00:00:00Z%s}]"
FAILOVER = "{active: dc1, backups: [dc2], failover: {after: 10s, back: manual, failed_back: 1970-01-01T00:00:09Z}}"


def state(text: str, failover_states: FailoverStates | None = None) -> State:
    """Return the State of a document at the beginning of time."""
    return State(parse_document(text.encode()), 1, 0, failover_states=failover_states or {})


@pytest.mark.parametrize(
    ("before", "after", "kind", "sides"),
    [
        (
            "dc1",
            "default: {split: {dc1: 3, dc2: 1}}",
            ChangeKind.SHARES,
            (
                {"destination": "datacenters", "shares": {"dc1": 1.0}},
                {"destination": "datacenters", "shares": {"dc1": 0.75, "dc2": 0.25}},
            ),
        ),
        (
            "{}",
            "dc1",
            ChangeKind.SHARES,
            ({"destination": "anywhere"}, {"destination": "datacenters", "shares": {"dc1": 1.0}}),
        ),
        (
            "dc1",
            'default: dc1\nworkers: [{match: "w-1:*", available: false, reason: disk}]',
            ChangeKind.WORKER,
            ({"drained": False}, {"drained": True, "reason": "disk"}),
        ),
        ("dc1", f"default: {RAMP}", ChangeKind.RAMP, ({"ramp": None}, {"ramp": RAMP_PLAIN})),
        ("dc1", "default: {active: dc1, backups: [dc2]}", ChangeKind.BACKUPS, ({"backups": []}, {"backups": ["dc2"]})),
        (
            "dc1",
            "default: {active: dc1, min_workers: 2}",
            ChangeKind.MIN_WORKERS,
            ({"min_workers": 1}, {"min_workers": 2}),
        ),
        (
            "dc1",
            "default: {active: dc1, on_empty: any}",
            ChangeKind.ON_EMPTY,
            ({"on_empty": "reject"}, {"on_empty": "any"}),
        ),
        (
            "dc1",
            "default: {active: dc1, sticky: instance}",
            ChangeKind.STICKY,
            ({"sticky": "job"}, {"sticky": "instance"}),
        ),
        (
            "default: {active: dc1, backups: [dc2]}",
            f"default: {FAILOVER}",
            ChangeKind.FAILOVER,
            (
                {"failover": None},
                {"failover": {"back": "manual", "after": "10s", "failed_back": "1970-01-01T00:00:09Z"}},
            ),
        ),
        (
            "dc1",
            "default: {active: dc1, failover: {back_after: 5m}}",
            ChangeKind.FAILOVER,
            ({"failover": None}, {"failover": {"back": "auto", "back_after": "5m"}}),
        ),
        (
            "default: dc1",
            "default: dc1" + DRILL % "",
            ChangeKind.SERVICE,
            ({"outage": None}, {"outage": {"kind": "drill"}}),
        ),
        (
            "default: dc1",
            "default: dc1" + DRILL % ", apps: [b, a]",
            ChangeKind.SERVICE,
            ({"outage": None}, {"outage": {"kind": "drill"}, "apps": ["a", "b"], "total": 2}),
        ),
    ],
)
def test_a_change_is_a_kind_and_its_parameters(
    before: str, after: str, kind: ChangeKind, sides: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Both sides of a change are reported by their parameters, in the units of the document."""
    (change,) = changes(state(before), state(after))
    assert change.kind is kind
    plain = change_plain(change)
    assert (plain["kind"], plain["before"], plain["after"]) == (kind.value, *sides)
    assert plain["total"] == len(plain["subjects"])


def test_a_first_document_and_many_subjects() -> None:
    """A route without one before has no `before`; of many subjects the first are named and all are counted."""
    apps = ", ".join(f"a{number}: dc1" for number in range(30))
    first, second = changes(None, state(f"default: {{active: dc2, backups: [dc1]}}\napps: {{{apps}}}"))
    assert (first.kind, change_plain(first)["before"]) == (ChangeKind.ROUTE, None)
    assert change_plain(first)["after"] == {
        "destination": "datacenters",
        "shares": {"dc2": 1.0},
        "backups": ["dc1"],
    }
    plain = change_plain(second)
    assert (len(plain["subjects"]), plain["total"]) == (20, 30)


def test_a_failover_is_a_change_of_preference() -> None:
    """The datacenter, and the outage for which it comes last."""
    text = "default: {active: dc1, backups: [dc2], failover: {back_after: 1m}}"
    failed = {(("a", ""), "dc1"): FailoverState(Phase.FAILED, 0, 10**9, NO_WORKERS)}
    (change,) = changes(state(text), state(text, failover_states=failed))
    outage = {"kind": "failed-over", "since": "1970-01-01T00:00:01Z", "fault": {"kind": "no-workers"}}
    plain = change_plain(change)
    assert (plain["kind"], plain["subjects"]) == ("preference", ["a"])
    assert (plain["before"], plain["after"]) == (
        {"datacenter": "dc1", "outage": None},
        {"datacenter": "dc1", "outage": outage},
    )


def explained(default: str, counts: Mapping[str, int], *, failed: bool = False) -> dict[str, Any]:
    """Return the explanation of a decision by a default route, as JSON."""
    # Only applications that the document names fail over with patience.
    text = f"default: {default}\napps: {{a: {{}}}}" if "failover" in default else f"default: {default}"
    states: FailoverStates = {(("a", ""), "dc1"): FailoverState(Phase.FAILED, 0, 10**9, NO_WORKERS)} if failed else {}
    workers = [Worker(name, name) for name, count in counts.items() for _ in range(count)]
    found = explain(state(text, failover_states=states), read(text, lambda: None), "a", "7", "", workers)
    return explanation_plain(found)


@pytest.mark.parametrize(
    ("default", "counts", "outcome"),
    [
        ("dc1", {"dc1": 1}, {"kind": "active", "datacenter": "dc1"}),
        ("{split: {dc1: 1, dc2: 0}}", {"dc1": 1}, {"kind": "all-weight", "datacenter": "dc1"}),
        ("{active: dc1, backups: [dc2]}", {"dc2": 1}, {"kind": "next", "datacenter": "dc2", "preferred": "dc1"}),
        ("{active: dc1, min_workers: 2}", {"dc1": 1}, {"kind": "short", "datacenter": "dc1", "needed": 2}),
        (
            "{active: dc1, backups: [dc2], min_workers: 2, failover: {after: 1m}}",
            {"dc1": 1, "dc2": 2},
            {"kind": "patient", "datacenter": "dc1", "needed": 2},
        ),
        ("{active: dc1, on_empty: any}", {"dc9": 1}, {"kind": "any"}),
        ("{active: dc1, on_empty: any}", {}, {"kind": "none-in-service"}),
        ("dc1", {}, {"kind": "rejected"}),
        ("{backups: [dc1]}", {}, {"kind": "unrouted"}),
    ],
)
def test_an_outcome_is_a_kind_and_its_parameters(default: str, counts: dict[str, int], outcome: dict[str, Any]) -> None:
    """Every way in which a decision comes about has its code, beside the sentence."""
    plain = explained(default, counts)
    assert plain["outcome_detail"] == outcome
    assert plain["outcome"].endswith(".")


def test_the_parts_of_an_explanation_have_codes_beside_their_texts() -> None:
    """Keys, verdicts and where candidates are: the code, its parameters, and the English for people."""
    plain = explained("{split: {dc1: 1, dc2: 1}, failover: {back_after: 1m}}", {"dc1": 1, "dc2": 1}, failed=True)
    assert plain["outcome_detail"]["kind"] in {"highest-score", "failed-over"}
    keys = {key["name"]: (key["value"], key["value_detail"], key["origin_kind"]) for key in plain["keys"]}
    assert keys["split"] == ("dc1 1, dc2 1", {"split": {"dc1": 1.0, "dc2": 1.0}}, "route")
    assert keys["backups"] == ("none", {"backups": []}, "built-in")
    assert keys["failover"][1] == {"failover": {"back": "auto", "back_after": "1m"}}
    verdicts = {each["datacenter"]: each for each in plain["order"]}
    assert verdicts["dc1"]["verdict_kind"] == "failed-over"
    assert verdicts["dc1"]["outage"]["fault"] == {"kind": "no-workers"}
    assert (verdicts["dc1"]["out"], verdicts["dc1"]["needed"]) == ("", 1)
    assert verdicts["dc2"]["verdict_kind"] == "serves"
    assert plain["located"][0] == {
        "address": "dc1",
        "datacenter": "dc1",
        "source": "the request",
        "source_kind": "request",
        "drained": False,
    }


def test_bare_names_and_ramps_have_codes_too() -> None:
    """A bare document is the origin of its name; a ramp says where it is; an outage names its kind."""
    bare = explanation_plain(explain(state("dc2"), "dc2", "a", "", "", [Worker("?")]))
    assert (bare["keys"][0]["value_detail"], bare["keys"][0]["origin_kind"]) == ({"active": "dc2"}, "document")
    assert bare["located"][0]["source_kind"] is None
    ramped = explained(RAMP, {"dc1": 1})
    assert ramped["keys"][0]["value_detail"] == {"ramp": {**RAMP_PLAIN, "step": 0}}
    text = "default: dc1" + DRILL % ", reason: Q4"
    drilled = explanation_plain(explain(state(text), read(text, lambda: None), "a", "", "", []))
    assert (drilled["order"][0]["out"], drilled["order"][0]["outage"]["kind"]) == ("drill: Q4", "drill")
