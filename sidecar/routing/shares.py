"""Which share of a route's jobs each datacenter gets now: what balancers, gateways, the audit and the page go by.

Every datacenter that is in service counts as having enough workers: how many there are is known to the calls alone.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sidecar.routing.model import OnEmpty
from sidecar.routing.state import ResolvedRoute, State

Weights = tuple[tuple[str, float], ...]
"""Datacenters with their weights or shares, in the document's order."""


class Destination(Enum):
    """Where the jobs of a route go."""

    DATACENTERS = "datacenters"
    # The route has no selector: every candidate passes.
    ANYWHERE = "anywhere"
    # No datacenter of the route is left; `on_empty: any` lets every worker in service run them.
    ANYWHERE_IN_SERVICE = "anywhere-in-service"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Shares:
    """Where the jobs of a route go; `by_datacenter` has shares that add up to 1, none for other destinations."""

    destination: Destination
    by_datacenter: Weights = ()

    def rounded(self) -> Shares:
        """Return the shares to three significant digits, as they are shown: a smaller difference is no change."""
        return self if len(self.by_datacenter) <= 1 else Shares(self.destination, _rounded(self.by_datacenter))


ANYWHERE = Shares(Destination.ANYWHERE)
_NOWHERE = {
    OnEmpty.ANY: Shares(Destination.ANYWHERE_IN_SERVICE),
    OnEmpty.REJECT: Shares(Destination.NOWHERE),
}


def shares(state: State, app: str, job: str = "") -> Shares:
    """Return where the jobs of an application go under a State, or those of one job that has a route of its own."""
    return shares_of(state.resolve((app,), app, job))


def shares_of(resolved: ResolvedRoute) -> Shares:
    """Return where the jobs of a route go, the datacenters that are out of service taken out.

    Their jobs spread over the rest of the split by weight; where none is left of it, the first backup that is in
    service gets all. Datacenters that work has left after faults come last.
    """
    if resolved.route.selector is None:
        return ANYWHERE
    weights: Weights = ()
    if resolved.failed_over:
        weights = serving_weights(resolved, {**resolved.out, **resolved.failed_over})
    weights = weights or serving_weights(resolved, resolved.out)
    return Shares(Destination.DATACENTERS, normalized(weights)) if weights else _NOWHERE[resolved.route.on_empty]


def intended_shares(weights: Weights) -> Shares:
    """Return where a selector's weights send jobs, without regard to outages; without weights: anywhere."""
    positive = tuple(each for each in weights if each[1] > 0) if len(weights) > 1 else weights
    return Shares(Destination.DATACENTERS, normalized(positive)) if positive else ANYWHERE


def serving_weights(resolved: ResolvedRoute, lost: Container[str]) -> Weights:
    """Return the weights of the datacenters that serve a route without those that are lost; () if there is none."""
    serving = tuple((name, weight) for name, weight in resolved.weights if weight > 0 and name not in lost)
    if serving:
        return serving
    backup = next((name for name in resolved.route.backups if name not in lost), None)
    return () if backup is None else ((backup, 1.0),)


def takeovers(resolved: ResolvedRoute, datacenter: str, names: Sequence[str]) -> tuple[Weights, ...]:
    """Return which datacenters take over from one that does not answer, in steps: the next when none of a step does.

    The order is that of decisions: the rest of the split by weight, the backups one by one, then in the same way those
    that work has left after faults; under `on_empty: any`, and without a selector, last the rest of `names` in equal
    parts. No step has a datacenter that is out of service.
    """
    lost = {datacenter, *resolved.out}
    steps: list[Weights] = []
    for avoided in (set(resolved.failed_over), set[str]()) if resolved.route.selector is not None else ():
        while weights := serving_weights(resolved, lost | avoided):
            steps.append(weights)
            lost.update(name for name, _ in weights)
    rest = tuple(name for name in names if name not in lost)
    if rest and (resolved.route.selector is None or resolved.route.on_empty is OnEmpty.ANY):
        steps.append(equal(rest))
    return tuple(steps)


def equal(names: Sequence[str]) -> Weights:
    """Return equal shares."""
    return tuple((name, 1 / len(names)) for name in names)


# Many routes of a document share few sets of weights.
@lru_cache(maxsize=1024)
def normalized(weights: Weights) -> Weights:
    """Return positive weights as shares of 1."""
    # Divided by the largest first: the sum of weights may be more than a float can hold.
    largest = max(weight for _, weight in weights)
    total = sum(weight / largest for _, weight in weights)
    return tuple((name, weight / largest / total) for name, weight in weights)


@lru_cache(maxsize=1024)
def _rounded(shares: Weights) -> Weights:
    return tuple((name, float(f"{share:.3g}")) for name, share in shares)


def whole_shares(shares: Weights, total: int) -> dict[str, int]:
    """Return shares of 1 as whole numbers that add up to `total`, at least 1 each: the largest remainders get the rest.

    No shares give no numbers.
    """
    exact = {name: share * total for name, share in shares}
    found = {name: max(1, int(number)) for name, number in exact.items()}
    missing = total - sum(found.values()) if found else 0
    if missing > 0:
        by_remainder = sorted(exact, key=lambda name: int(exact[name]) - exact[name])
        for name in by_remainder[:missing]:
            found[name] += 1
    elif missing < 0:
        # Shares below one part of the total were made larger; the largest can spare it.
        found[max(found, key=found.__getitem__)] += missing
    return found
