"""Where the jobs of a route run, in shares, and how many of them a change moves: computed exactly, not sampled.

A share is that of all possible job ids. Weighted rendezvous hashing gives each datacenter of a split an exponentially
distributed time of its own for each key, at the rate of its weight, and the earliest wins. So a datacenter that drops
out leaves its share to the others in proportion to their weights; and how often the winner is i before and j after the
weights change is one integral, solved below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.routing.model import OnEmpty, Sticky
from sidecar.routing.shares import Destination, Weights, normalized, serving_weights
from sidecar.routing.state import State

Counts = Mapping[str, int]
"""Live workers by datacenter."""

Place = str | Destination
"""A datacenter, or ANYWHERE or NOWHERE."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The datacenters that serve the jobs of a route, by weight; none weighs 0.

    Without datacenters `other` is where the jobs may go instead: ANYWHERE or NOWHERE. `sticky` says whose shares these
    are, those of jobs or those of single runs.
    """

    weights: Weights
    other: Destination | None = None
    sticky: Sticky = Sticky.JOB


@dataclass(frozen=True, slots=True)
class JobMove:
    """A share (over 0, up to 1) of the jobs of a route that goes from one place to another."""

    source: Place
    target: Place
    share: float


def placement(state: State, app: str, job: str = "", counts: Counts | None = None) -> Placement:
    """Return where the jobs of an application's route run; `counts` has each datacenter's workers.

    Where the workers are not known, each datacenter that is in service counts as having enough.
    """
    resolved = state.resolve((app,), app, job)
    route = resolved.route
    if route.selector is None:
        return Placement((), Destination.ANYWHERE, route.sticky)
    names = {*dict(resolved.weights), *route.backups}
    for needed in (route.min_workers, 1):
        short = set() if counts is None else {name for name in names if counts.get(name, 0) < needed}
        weights = serving_weights(resolved, short | resolved.out.keys())
        if weights:
            return Placement(weights, None, route.sticky)
    anywhere = route.on_empty is OnEmpty.ANY and (
        counts is None or any(counts[name] for name in counts if name not in resolved.out)
    )
    return Placement((), Destination.ANYWHERE if anywhere else Destination.NOWHERE, route.sticky)


def moves(before: Placement, after: Placement) -> tuple[JobMove, ...]:
    """Return the moves of a change of placement, the largest share first, without shares under one in a million."""
    found = []
    for source, share in placement_shares(before):
        for target, other in placement_shares(after):
            if source == target:
                continue
            if before.sticky is not after.sticky:
                moved = share * other  # Another key decides: where a run was says nothing about where the next one is.
            elif isinstance(source, str) and isinstance(target, str):
                moved = _moved(dict(before.weights), dict(after.weights), source, target)
            else:
                moved = share * other
            if moved > 1e-6:
                found.append(JobMove(source, target, moved))
    return tuple(sorted(found, key=lambda move: -move.share))


def placement_shares(placement: Placement) -> tuple[tuple[Place, float], ...]:
    """Return the share of each place; they add up to 1."""
    return normalized(placement.weights) if placement.other is None else ((placement.other, 1.0),)


def _moved(before: dict[str, float], after: dict[str, float], source: str, target: str) -> float:
    """Return the share of keys that `source` won before and `target` wins after.

    With x the time of `source`'s clock at rate 1, r·x that of `target`, and each other clock k later than
    x·max(a_k, b_k·r), where a_k and b_k are the weights of k relative to the winner's, before and after, the share is
    the integral of dr / (1 + r + sum of max(a_k, b_k·r))² over the r for which the two won. It is a sum over the pieces
    between the points where a maximum changes sides.
    """
    low = before.get(target, 0.0) / before[source]
    high = after[target] / after[source] if source in after else float("inf")
    if low >= high:
        return 0.0
    others = [
        (before.get(name, 0.0) / before[source], after.get(name, 0.0) / after[target])
        for name in before | after
        if name not in (source, target)
    ]
    turns = sorted({a / b for a, b in others if b > 0 and low < a / b < high})
    total = 0.0
    for start, end in zip((low, *turns), (*turns, high), strict=True):
        inside = (start + end) / 2 if end < float("inf") else start + 1
        constant = 1.0 + sum(a for a, b in others if a >= b * inside)
        slope = 1.0 + sum(b for a, b in others if a < b * inside)
        upper = 1 / (constant + slope * end) if end < float("inf") else 0.0
        total += (1 / (constant + slope * start) - upper) / slope
    return total
