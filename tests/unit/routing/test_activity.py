"""Which datacenter serves a key, and whether one serves an application."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.pb.dcsidecar.v1.routing_pb2 import Worker
from sidecar.routing.activity import Serving, activity, serving
from sidecar.routing.decision import Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, Phase
from sidecar.routing.outage import MARKED, NO_WORKERS, OutageKind, unhealthy
from sidecar.routing.shares import shares
from sidecar.routing.state import State

EVERYWHERE = [Worker(address=name, datacenter=name) for name in ("dc1", "dc2", "dc3", "dc4")]


def state(default: str, *down: str, left: tuple[str, ...] = (), rest: str = "apps: {a: {}}") -> State:
    """Return a State with this default route, in which datacenters are down and work has left others."""
    failed = {(("a", ""), name): FailoverState(Phase.FAILED, 0, 0, NO_WORKERS) for name in left}
    document = parse_document(f"default: {default}\n{rest}".encode())
    return State(document, 1, 0, unhealthy=dict.fromkeys(down, unhealthy(NO_WORKERS)), failover_states=failed)


@pytest.mark.parametrize(
    ("default", "down", "expected"),
    [
        ("dc1", (), Serving("dc1", Reason.ACTIVE)),
        ("{split: {dc1: 1}}", (), Serving("dc1", Reason.SPLIT)),
        ("{active: dc1, backups: [dc2, dc3]}", ("dc1", "dc2"), Serving("dc3", Reason.FAILOVER)),
        ("{backups: [dc2]}", (), Serving("", Reason.UNROUTED)),
        ("dc1", ("dc1",), Serving("", Reason.NO_WORKERS)),
        ("{active: dc1, on_empty: any}", ("dc1",), Serving("", Reason.ANY)),
    ],
)
def test_a_key_has_the_first_datacenter_in_service(default: str, down: tuple[str, ...], expected: Serving) -> None:
    """In the route's order of preference; without one the reason says why."""
    assert serving(state(default, *down), "a", "7") == expected


def test_a_key_with_a_route_of_its_own_has_that_one() -> None:
    """A key is a job id: what pins the job pins the key."""
    pinned = state("dc1", rest="apps: {a: {jobs: {'7': dc3}}}")
    assert serving(pinned, "a", "7").datacenter == "dc3"
    assert serving(pinned, "a", "8").datacenter == "dc1"


def test_what_work_has_left_comes_last() -> None:
    """After a failover the backup serves; if it is down too, the datacenter that work has left."""
    route = "{active: dc1, backups: [dc2], failover: {after: 30s}}"
    assert serving(state(route, left=("dc1",)), "a", "7") == Serving("dc2", Reason.FAILOVER)
    assert serving(state(route, "dc2", left=("dc1",)), "a", "7") == Serving("dc2", Reason.FAILOVER)
    left = activity(state(route, left=("dc1",)), "a", "dc1")
    assert (left.active, left.outage and left.outage.kind) == (False, OutageKind.FAILED_OVER)


def test_a_datacenter_is_active_with_a_share() -> None:
    """However small; without one it is not."""
    split = state("{split: {dc1: 3, dc2: 1}}")
    found = {name: activity(split, "a", name) for name in ("dc1", "dc2", "dc3")}
    assert {name: (each.active, each.share) for name, each in found.items()} == {
        "dc1": (True, 0.75),
        "dc2": (True, 0.25),
        "dc3": (False, 0.0),
    }


@pytest.mark.parametrize(
    ("default", "down", "active"),
    [
        ("{backups: [dc2]}", (), {"dc1", "dc2", "unnamed"}),
        ("dc1", ("dc1",), set()),
        ("{active: dc1, on_empty: any}", ("dc1",), {"dc2", "unnamed"}),
    ],
)
def test_without_shares_the_destination_says_where(default: str, down: tuple[str, ...], active: set[str]) -> None:
    """Anywhere, anywhere in service, or nowhere, as for workers; there is no share."""
    found = {name: activity(state(default, *down), "a", name) for name in ("dc1", "dc2", "unnamed")}
    assert {name for name, each in found.items() if each.active} == active
    assert {each.share for each in found.values()} == {None}


def test_the_outage_of_a_datacenter_is_named() -> None:
    """A mark, a drill or a verdict of health checks."""
    marked = state("{active: dc1, backups: [dc2]}", rest="datacenters: {dc1: {available: false}, dc2: {}}")
    assert activity(marked, "a", "dc1").outage == MARKED
    assert activity(marked, "a", "dc2").outage is None


names = st.sampled_from(["dc1", "dc2", "dc3", "dc4"])


@st.composite
def routes(draw: st.DrawFn) -> str:
    """Return an active datacenter or a split, with backups that are not in it."""
    chosen = draw(st.dictionaries(names, st.integers(1, 100), min_size=1))
    backups = [name for name in draw(st.lists(names, unique=True)) if name not in chosen]
    weights = ", ".join(f"{name}: {weight}" for name, weight in chosen.items())
    selector = f"active: {next(iter(chosen))}" if len(chosen) == 1 else f"split: {{{weights}}}"
    return f"{{{selector}, backups: [{', '.join(backups)}]}}"


@pytest.mark.no_cover
@given(route=routes(), down=st.sets(names), key=st.text(min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_key_goes_where_filter_workers_sends_the_job(route: str, down: set[str], key: str) -> None:
    """With workers everywhere, datacenter and reason of each key are those of the decision for the job of that id."""
    now = state(route, *sorted(down))
    decision = decide(now, "a", key, "", EVERYWHERE)
    assert serving(now, "a", key) == Serving(decision.datacenter, decision.reason)


@given(route=routes(), down=st.sets(names))
@settings(max_examples=10, deadline=None)
def test_keys_fall_as_the_shares_say(route: str, down: set[str]) -> None:
    """Of 2,000 keys each datacenter has its share within 6 points, and none that has no share."""
    now = state(route, *sorted(down))
    counts = Counter(serving(now, "a", f"user-{number}").datacenter for number in range(2000))
    expected = dict(shares(now, "a").by_datacenter) or {"": 1.0}
    assert set(counts) <= set(expected)
    assert all(abs(counts[name] / 2000 - share) < 0.06 for name, share in expected.items())
