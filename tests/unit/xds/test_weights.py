"""The weights that proxies get agree with decisions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.pb.dcsidecar.v1.routing_pb2 import Worker
from sidecar.routing.decision import decide
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, Phase
from sidecar.routing.outage import NO_WORKERS, unhealthy
from sidecar.routing.state import State
from sidecar.xds.weights import TOTAL, proxy_weights

NAMES = ("dc1", "dc2", "dc3")
DATACENTERS = "datacenters: {dc1: {}, dc2: {}, dc3: {}}\n"


def state(text: str, *down: str, left: tuple[str, ...] = ()) -> State:
    """Return a State of a document, in which datacenters are down and work has left others."""
    failed = {(("a", ""), name): FailoverState(Phase.FAILED, 0, 0, NO_WORKERS) for name in left}
    document = parse_document((DATACENTERS + text).encode())
    return State(document, 1, 0, unhealthy=dict.fromkeys(down, unhealthy(NO_WORKERS)), failover_states=failed)


@pytest.mark.parametrize(
    ("default", "down", "expected"),
    [
        ("dc1", (), (TOTAL, 0, 0)),
        ("{split: {dc1: 90, dc2: 10}}", (), (900_000_000, 100_000_000, 0)),
        ("{active: dc1, backups: [dc3]}", ("dc1",), (0, 0, TOTAL)),
        ("{active: dc1, on_empty: any}", ("dc1",), (0, TOTAL // 2, TOTAL // 2)),
        ("{active: dc1, on_empty: reject}", ("dc1",), (0, 0, 0)),
        ("{backups: [dc1]}", ("dc1",), (333_333_334, 333_333_333, 333_333_333)),
    ],
)
def test_weights_of_each_destination(default: str, down: tuple[str, ...], expected: tuple[int, ...]) -> None:
    """Each datacenter of the document has a weight, 0 included; where decisions take any worker, all weigh the same."""
    weights = proxy_weights(state(f"default: {default}\napps: {{a: {{}}}}", *down), "a")
    assert tuple(weights.by_datacenter[name] for name in NAMES) == expected
    assert weights.rejected is (not any(expected))
    assert weights.serving == {name: weight for name, weight in zip(NAMES, expected, strict=True) if weight}
    assert weights.unrouted is default.startswith("{backups")


def test_unrouted_application_without_known_datacenters_is_not_rejected() -> None:
    """Where the document names no datacenter there is no weight, and nothing is rejected."""
    weights = proxy_weights(State(parse_document(b"default: {}"), 1, 0), "a")
    assert (weights.by_datacenter, weights.rejected, weights.unrouted) == ({}, False, True)


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([1.0, 2.0, 5.0]), min_size=1),
    st.lists(st.sampled_from(NAMES), unique=True),
    st.sampled_from(["reject", "any"]),
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
)
def test_weights_are_the_shares_of_many_decisions(
    split: dict[str, float], backups: list[str], on_empty: str, down: set[str], left: set[str]
) -> None:
    """Whatever is out or was left: of 2000 keys each datacenter gets what it weighs, within the noise."""
    weighted = ", ".join(f"{name}: {weight}" for name, weight in split.items())
    names = ", ".join(backups)
    route = f"{{split: {{{weighted}}}, backups: [{names}], on_empty: {on_empty}, failover: {{back_after: 1m}}}}"
    now = state(f"default: {route}\napps: {{a: {{}}}}", *down, left=tuple(left))
    workers = [Worker(address=name, datacenter=name) for name in NAMES]
    decisions = [decide(now, "a", str(key), "", workers) for key in range(2000)]
    counted = Counter(decision.datacenter for decision in decisions)
    weights = proxy_weights(now, "a")
    if "" in counted:
        # No datacenter serves, or any worker of those in service may.
        passed = {workers[position].datacenter for position in decisions[0].indices}
        assert counted.keys() == {""}
        assert weights.serving.keys() == passed
        return
    assert weights.serving.keys() == counted.keys()
    for name, weight in weights.serving.items():
        assert counted[name] / 2000 == pytest.approx(weight / TOTAL, abs=0.06)
