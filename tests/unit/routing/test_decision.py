"""Which candidates may run a job, rule by rule; the vectors and the properties hold the rest."""

from __future__ import annotations

import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2
from sidecar.routing.decision import Decision, Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.state import State

DC1_OUT = "datacenters: {dc1: {available: false}, dc2: {}}\n"


def _decide(
    text: str, places: str, *, app: str = "a", job: str = "1", instance: str = ""
) -> tuple[str, str, list[int]]:
    """Decide for candidates in these datacenters, `?` being an unknown one."""
    candidates = [routing_pb2.Worker(address=f"w{i}", datacenter=p.strip("?")) for i, p in enumerate(places.split())]
    decision = decide(State(parse_document(text.encode()), 1, 0), app, job, instance, candidates)
    return decision.reason.name, decision.datacenter, list(decision.indices)


@pytest.mark.parametrize(
    ("text", "places", "expected"),
    [
        ("default: {backups: [dc1]}", "dc2 ?", ("UNROUTED", "", [0, 1])),
        ("default: {active: dc1, backups: [dc1, dc2]}", "dc2 dc1", ("ACTIVE", "dc1", [1])),
        ("default: {active: dc1, backups: [dc1, dc2]}", "dc2", ("FAILOVER", "dc2", [0])),
        ("default: {split: {dc1: 1}, backups: [dc2]}", "dc1 dc2", ("SPLIT", "dc1", [0])),
        ("default: {split: {dc1: 1, dc2: 0}}", "dc2", ("NO_WORKERS", "", [])),
        ("default: {active: dc1, backups: [dc2], min_workers: 2}", "dc1 dc2 dc2", ("FAILOVER", "dc2", [1, 2])),
        ("default: {active: dc1, backups: [dc2], min_workers: 3}", "dc2 dc1 dc2", ("DEGRADED", "dc1", [1])),
        ("default: {active: dc1, min_workers: 3}", "dc1 dc1", ("DEGRADED", "dc1", [0, 1])),
        ("default: {active: dc1, on_empty: any}", "dc2 ? dc3", ("ANY", "", [0, 1, 2])),
        ("default: {active: dc1}", "? dc2", ("NO_WORKERS", "", [])),
        (DC1_OUT + "default: {active: dc1, on_empty: any}", "dc1 dc2", ("ANY", "", [1])),
        (DC1_OUT + "default: {active: dc1, on_empty: any}", "dc1", ("NO_WORKERS", "", [])),
        (DC1_OUT + "default: {active: dc1, backups: [dc2]}", "dc1 dc2", ("FAILOVER", "dc2", [1])),
        (DC1_OUT + "apps: {b: dc1}", "dc1", ("UNROUTED", "", [0])),
    ],
)
def test_rules_in_order(text: str, places: str, expected: tuple[str, str, list[int]]) -> None:
    """The first rule that applies answers."""
    assert _decide(text, places) == expected


def test_what_stays_together() -> None:
    """All runs of a job go to one place; under `sticky: instance` each run goes where it goes by itself."""
    split = "default: {split: {dc1: 1, dc2: 1}, sticky: %s}"
    by_job = {_decide(split % "job", "dc1 dc2", instance=str(run))[1] for run in range(50)}
    by_run = {_decide(split % "instance", "dc1 dc2", instance=str(run))[1] for run in range(50)}
    assert (len(by_job), len(by_run)) == (1, 2)


@pytest.mark.parametrize("sticky", ["job", "instance"])
def test_the_other_id_stands_in_for_an_empty_one(sticky: str) -> None:
    """A job without instance, or an instance without job, is placed by what there is."""
    text = f"default: {{split: {{dc1: 1, dc2: 1}}, sticky: {sticky}}}"
    for key in map(str, range(20)):
        one = _decide(text, "dc1 dc2", job=key, instance="")
        assert one == _decide(text, "dc1 dc2", job="", instance=key)


@pytest.mark.parametrize(
    ("route", "job", "instance", "alone"),
    [
        ("split: {dc1: 1, dc2: 1}, sticky: instance", "1", "11", True),
        ("split: {dc1: 1, dc2: 1}, sticky: instance", "1", "", False),
        ("split: {dc1: 1, dc2: 0}, sticky: instance", "1", "11", False),
        ("split: {dc1: 1, dc2: 1}", "1", "11", False),
        ("split: {dc1: 1, dc2: 1}", "", "11", True),
        ("active: dc1, sticky: instance", "1", "11", False),
    ],
)
def test_whether_other_runs_may_share_the_answer(route: str, job: str, instance: str, alone: bool) -> None:
    """Not where the run's own id chose between several datacenters."""
    candidates = [routing_pb2.Worker(address=name, datacenter=name) for name in ("dc1", "dc2")]
    state = State(parse_document(f"default: {{{route}}}".encode()), 1, 0)
    assert decide(state, "a", job, instance, candidates).for_instance is alone


def test_a_job_id_of_another_application_is_another_job() -> None:
    """Shares are drawn for each application by itself: not all take job 1 to the same place."""
    text = "default: {split: {dc1: 1, dc2: 1}}"
    assert {_decide(text, "dc1 dc2", app=str(app))[1] for app in range(50)} == {"dc1", "dc2"}


def test_reasons_are_those_of_the_contract() -> None:
    """Names and numbers are equal, so none needs a translation."""
    contract = dict(routing_pb2.Reason.items())
    assert {f"REASON_{reason.name}": reason.value for reason in Reason} | {"REASON_UNSPECIFIED": 0} == contract


def test_any_text_is_a_name() -> None:
    """A decision answers whatever the request says."""
    assert _decide("dc1", "dc1", app="", job="") == ("ACTIVE", "dc1", [0])
    split = State(parse_document(b"default: {split: {dc1: 1, dc2: 1}}"), 1, 0)
    assert decide(split, "\udcff\0\n", "\ud800", "", []) == Decision((), "", Reason.NO_WORKERS)
