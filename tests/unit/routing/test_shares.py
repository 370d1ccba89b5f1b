"""Which share of a route's jobs each datacenter gets."""

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
from sidecar.routing.shares import Destination, Shares, intended_shares, shares, takeovers, whole_shares
from sidecar.routing.state import State

DC1 = Shares(Destination.DATACENTERS, (("dc1", 1.0),))


def state(default: str, *down: str, left: tuple[str, ...] = (), rest: str = "apps: {a: {}}") -> State:
    """Return a State with this default route, in which datacenters are down and work has left others."""
    failed = {(("a", ""), name): FailoverState(Phase.FAILED, 0, 0, NO_WORKERS) for name in left}
    document = parse_document(f"default: {default}\n{rest}".encode())
    return State(document, 1, 0, unhealthy=dict.fromkeys(down, unhealthy(NO_WORKERS)), failover_states=failed)


@pytest.mark.parametrize(
    ("default", "down", "expected"),
    [
        ("dc1", (), {"dc1": 1.0}),
        ("{split: {dc1: 3, dc2: 1, dc3: 0}}", (), {"dc1": 0.75, "dc2": 0.25}),
        ("{split: {dc1: 2, dc2: 1, dc3: 1}}", ("dc1",), {"dc2": 0.5, "dc3": 0.5}),
        ("{active: dc1, backups: [dc2, dc3]}", ("dc1", "dc2"), {"dc3": 1.0}),
        ("{split: {dc1: 1e308, dc2: 1e308}}", (), {"dc1": 0.5, "dc2": 0.5}),
        (
            '{ramp: {from: dc1, to: dc2, start: "1969-12-31T23:59:59Z", duration: 4s, steps: 4}}',
            (),
            {"dc1": 0.75, "dc2": 0.25},
        ),
    ],
)
def test_what_is_out_leaves_its_share_to_the_others(
    default: str, down: tuple[str, ...], expected: dict[str, float]
) -> None:
    """A lost datacenter's jobs spread over the rest of the split, and go to the first backup where none is left."""
    found = shares(state(default, *down), "a")
    assert (found.destination, dict(found.by_datacenter)) == (Destination.DATACENTERS, expected)


@pytest.mark.parametrize(
    ("default", "destination"),
    [
        ("{backups: [dc2]}", Destination.ANYWHERE),
        ("dc1", Destination.NOWHERE),
        ("{active: dc1, on_empty: any}", Destination.ANYWHERE_IN_SERVICE),
    ],
)
def test_without_a_datacenter_it_says_what_becomes_of_the_jobs(default: str, destination: Destination) -> None:
    """No selector, nobody left, and nobody left under `on_empty: any` are distinguished."""
    assert shares(state(default, "dc1"), "a") == Shares(destination)


@pytest.mark.parametrize(
    ("default", "left", "down", "expected"),
    [
        ("{active: dc1, backups: [dc2], failover: {back_after: 1m}}", ("dc1",), (), {"dc2": 1.0}),
        ("{active: dc1, backups: [dc2], failover: {back_after: 1m}}", ("dc1",), ("dc2",), {"dc1": 1.0}),
        ("{active: dc1, backups: [dc2], failover: {back_after: 1m}}", ("dc1", "dc2"), (), {"dc1": 1.0}),
        ("{split: {dc1: 1, dc2: 3}, failover: {back_after: 1m}}", ("dc1",), (), {"dc2": 1.0}),
        ("{split: {dc1: 1, dc2: 3}, failover: {back_after: 1m}}", ("dc1", "dc2"), (), {"dc1": 0.25, "dc2": 0.75}),
    ],
)
def test_what_work_has_left_comes_last(
    default: str, left: tuple[str, ...], down: tuple[str, ...], expected: dict[str, float]
) -> None:
    """A datacenter that work has left gets jobs again only where no other is in service, and then by its weight."""
    assert dict(shares(state(default, *down, left=left), "a").by_datacenter) == expected


def test_a_job_of_its_own_has_its_own_shares() -> None:
    """A job with a route of its own, and a drill for the application, count."""
    drill = "drills: [{datacenter: dc1, until: 2026-01-01T00:00:00Z, apps: [a]}]"
    rest = f"apps: {{a: {{active: dc1, jobs: {{'7': dc2}}}}}}\n{drill}"
    assert shares(state("dc3", rest=rest), "a", "7").by_datacenter == (("dc2", 1.0),)
    assert shares(state("dc3", rest=rest), "a") == Shares(Destination.NOWHERE)


def test_intended_shares_know_of_no_outage() -> None:
    """What the document says, by its weights alone."""
    assert intended_shares((("dc1", 1.0), ("dc2", 0.0))) == DC1
    assert intended_shares(()) == Shares(Destination.ANYWHERE)


def test_shares_are_compared_as_they_are_shown() -> None:
    """What differs in the fourth digit alone is the same share; two decimal weights that mean a third are one."""
    assert intended_shares((("dc1", 9001.0), ("dc2", 999.0))).rounded().by_datacenter == (("dc1", 0.9), ("dc2", 0.0999))
    assert (
        intended_shares((("dc1", 0.1), ("dc2", 0.3))).rounded()
        == intended_shares((("dc1", 1.0), ("dc2", 3.0))).rounded()
    )


names = ("dc1", "dc2", "dc3")


@pytest.mark.no_cover
@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from(names), st.sampled_from([1.0, 2.0, 5.0]), min_size=1),
    st.lists(st.sampled_from(names), unique=True),
    st.sets(st.sampled_from(names)),
    st.sets(st.sampled_from(names)),
)
def test_shares_are_those_of_many_decisions(
    weights: dict[str, float], backups: list[str], down: set[str], left: set[str]
) -> None:
    """Whatever is out or was left: of 2000 jobs each datacenter with workers gets its share, within the noise."""
    split = ", ".join(f"{name}: {weight}" for name, weight in weights.items())
    text = f"{{split: {{{split}}}, backups: [{', '.join(backups)}], failover: {{back_after: 1m}}}}"
    now = state(text, *down, left=tuple(left))
    workers = [Worker(address=name, datacenter=name) for name in names]
    counted = Counter(decide(now, "a", str(job), "", workers).datacenter for job in range(2000))
    expected = dict(shares(now, "a").by_datacenter) or {"": 1.0}
    assert counted.keys() == expected.keys()
    for name, share in expected.items():
        assert counted[name] / 2000 == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("total", [1000, 1_000_000_000])
@given(parts=st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=9))
def test_whole_shares_add_up(total: int, parts: list[float]) -> None:
    """Shares of any size become numbers that add up exactly, none of them 0, each next to its share."""
    everything = sum(parts)
    given_shares = tuple((str(position), part / everything) for position, part in enumerate(parts))
    numbers = whole_shares(given_shares, total)
    assert sum(numbers.values()) == total
    for name, share in given_shares:
        assert numbers[name] >= 1
        assert numbers[name] == pytest.approx(share * total, abs=10)


def test_no_shares_are_no_numbers() -> None:
    """Nothing adds up to nothing, and what small shares gain the largest one gives."""
    assert whole_shares((), 1000) == {}
    assert whole_shares((("a", 0.999_9), ("b", 0.000_05), ("c", 0.000_05)), 1000) == {"a": 998, "b": 1, "c": 1}
    assert whole_shares((("a", 1 / 3), ("b", 1 / 3), ("c", 1 / 3)), 1000) == {"a": 334, "b": 333, "c": 333}


@pytest.mark.parametrize(
    ("route", "down", "left", "expected"),
    [
        ("dc1", (), (), ()),
        ("{active: dc1, backups: [dc2, dc3]}", (), (), ((("dc2", 1.0),), (("dc3", 1.0),))),
        ("{active: dc1, backups: [dc2, dc3]}", ("dc2",), (), ((("dc3", 1.0),),)),
        ("{split: {dc1: 1, dc2: 3}, backups: [dc3]}", (), (), ((("dc2", 3.0),), (("dc3", 1.0),))),
        (
            "{active: dc1, backups: [dc2, dc3], failover: {back_after: 1m}}",
            (),
            ("dc2",),
            ((("dc3", 1.0),), (("dc2", 1.0),)),
        ),
        ("{active: dc1, on_empty: any}", ("dc3",), (), ((("dc2", 1.0),),)),
        ("{active: dc1, on_empty: any}", ("dc2", "dc3"), (), ()),
        ("{backups: [dc3]}", (), (), ((("dc2", 0.5), ("dc3", 0.5)),)),
    ],
)
def test_takeovers(route: str, down: tuple[str, ...], left: tuple[str, ...], expected: tuple[object, ...]) -> None:
    """Who serves when dc1 does not answer: as decisions would without it, never a datacenter that is out."""
    now = state(route, *down, left=left)
    assert takeovers(now.resolve(("a",), "a", ""), "dc1", ("dc1", "dc2", "dc3")) == expected


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from(names), st.sampled_from([1.0, 2.0, 5.0]), min_size=1),
    st.lists(st.sampled_from(names), unique=True),
    st.sets(st.sampled_from(names)),
    st.sets(st.sampled_from(names)),
    st.sampled_from(["reject", "any"]),
)
def test_takeovers_are_the_decisions_of_what_is_lost(
    weights: dict[str, float], backups: list[str], down: set[str], left: set[str], on_empty: str
) -> None:
    """A datacenter without workers hands its jobs to the first step, that one to the next; none is out of service."""
    split = ", ".join(f"{name}: {weight}" for name, weight in weights.items())
    text = (
        f"{{split: {{{split}}}, backups: [{', '.join(backups)}], on_empty: {on_empty}, failover: {{back_after: 1m}}}}"
    )
    now = state(text, *down, left=tuple(left))
    resolved = now.resolve(("a",), "a", "")
    for lost in shares(now, "a").by_datacenter:
        gone = {lost[0]}
        for step in takeovers(resolved, lost[0], names):
            assert not {name for name, _ in step} & {*down, *gone}
            workers = [Worker(address=name, datacenter=name) for name in names if name not in gone]
            for job in range(30):
                decision = decide(now, "a", str(job), "", workers)
                chosen = (
                    {decision.datacenter} if decision.datacenter else {workers[i].datacenter for i in decision.indices}
                )
                # Datacenters that are left after faults may have the rest of a split beside them.
                assert chosen <= {name for name, _ in step}
            gone |= {name for name, _ in step}
