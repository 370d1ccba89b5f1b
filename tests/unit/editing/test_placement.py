"""The share of jobs that a change moves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.editing.placement import JobMove, Place, Placement, moves, placement, placement_shares
from sidecar.routing.document import parse_document
from sidecar.routing.model import Sticky
from sidecar.routing.rendezvous import preference
from sidecar.routing.shares import Destination
from sidecar.routing.state import State

_KEYS = 20_000

weights = st.dictionaries(
    st.sampled_from(["dc1", "dc2", "dc3", "dc4"]), st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0, 90.0]), min_size=1
)


@settings(max_examples=15, deadline=None)
@given(weights, weights)
def test_the_computed_share_is_what_hashing_many_jobs_gives(before: dict[str, float], after: dict[str, float]) -> None:
    """Of many job ids the share that moves from one datacenter to another is the computed one, within the noise."""
    counted: Counter[tuple[Place, Place]] = Counter()
    for number in range(_KEYS):
        key = str(number)
        old, new = (preference("a", key, [*weights.items()])[0] for weights in (before, after))
        pair: tuple[Place, Place] = old, new
        counted[pair] += pair[0] != pair[1]
    computed = {
        (move.source, move.target): move.share
        for move in moves(Placement(tuple(before.items())), Placement(tuple(after.items())))
    }
    for pair in computed.keys() | counted.keys():
        assert counted[pair] / _KEYS == pytest.approx(computed.get(pair, 0.0), abs=0.018), pair


@given(weights, weights)
def test_what_leaves_and_what_arrives_explains_the_shares(before: dict[str, float], after: dict[str, float]) -> None:
    """A datacenter's share after is its share before, less what leaves it, plus what arrives."""
    old, new = Placement(tuple(before.items())), Placement(tuple(after.items()))
    balance = dict(placement_shares(old))
    for move in moves(old, new):
        balance[move.source] -= move.share
        balance[move.target] = balance.get(move.target, 0.0) + move.share
    for name, share in balance.items():
        assert share == pytest.approx(dict(placement_shares(new)).get(name, 0.0), abs=1e-5)


def test_shifting_weight_between_two_moves_only_that() -> None:
    """From 90 to 80 of 100, a tenth of the jobs moves, and none back."""
    old, new = Placement((("dc1", 90.0), ("dc2", 10.0))), Placement((("dc1", 80.0), ("dc2", 20.0)))
    assert [(m.source, m.target, round(m.share, 9)) for m in moves(old, new)] == [("dc1", "dc2", 0.1)]


def test_runs_kept_apart_are_dealt_anew() -> None:
    """When a split keeps runs together instead of jobs, where a job was says nothing about where it goes."""
    halves = (("dc1", 1.0), ("dc2", 1.0))
    found = moves(Placement(halves), Placement(halves, sticky=Sticky.INSTANCE))
    assert {(m.source, m.target): m.share for m in found} == {("dc1", "dc2"): 0.25, ("dc2", "dc1"): 0.25}


_DOCUMENT = b"""
datacenters: {dc1: {}, dc2: {}, dc3: {available: false}}
default: {active: dc1, backups: [dc2]}
apps:
  split: {split: {dc1: 1, dc2: 1, dc3: 2}}
  broken: {active: dc3, backups: []}
  any: {active: dc3, backups: [], on_empty: any}
  many: {min_workers: 3}
  free: {split: {dc1: 2, dc2: 0}}
"""


def _placed(app: str, counts: dict[str, int] | None = None) -> Placement:
    return placement(State(parse_document(_DOCUMENT), 0, 0), app, "", counts)


def test_a_datacenter_that_is_out_leaves_its_share_to_the_rest() -> None:
    """Half of the jobs of a lost datacenter go to each of two that weigh the same."""
    assert _placed("split").weights == (("dc1", 1.0), ("dc2", 1.0))


def test_without_anybody_in_service_nobody_serves_or_all_do() -> None:
    """A route whose only datacenter is out serves nobody, or under `on_empty: any` every worker in service."""
    assert _placed("broken").other is Destination.NOWHERE
    assert _placed("any").other is Destination.ANYWHERE
    assert _placed("any", {"dc3": 5}).other is Destination.NOWHERE


def test_too_few_workers_send_the_jobs_to_the_backup() -> None:
    """Where the workers are known, fewer than min_workers make a datacenter unavailable, until nobody has enough."""
    assert _placed("many", {"dc1": 2, "dc2": 3}).weights == (("dc2", 1.0),)
    assert _placed("many", {"dc1": 2, "dc2": 2}).weights == (("dc1", 1.0),)
    assert _placed("other", {"dc2": 1}).weights == (("dc2", 1.0),)
    assert _placed("other", {}).other is Destination.NOWHERE


def test_everything_moves_when_one_datacenter_takes_over() -> None:
    """A switch from one datacenter to another moves all jobs."""
    assert moves(Placement((("dc1", 1.0),)), Placement((("dc2", 5.0),))) == (JobMove("dc1", "dc2", 1.0),)
