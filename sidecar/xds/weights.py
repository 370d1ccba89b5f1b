"""The shares of an application as whole numbers, which proxies take for weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.routing.shares import Destination, Weights, equal, shares_of, whole_shares
from sidecar.routing.state import State

TOTAL = 1_000_000_000
"""The sum of the weights. Beside it a weight from a static configuration, such as 1 or 100, is next to nothing."""


@dataclass(frozen=True, slots=True)
class ProxyWeights:
    """The weight of each datacenter of the document, 0 included; they add up to TOTAL unless all is `rejected`.

    `unrouted` is True where the document leaves the choice to the proxy: then all datacenters weigh the same.
    """

    by_datacenter: Mapping[str, int]
    unrouted: bool = False

    @property
    def rejected(self) -> bool:
        """True where no datacenter may serve."""
        return not (self.unrouted or self.serving)

    @property
    def serving(self) -> Mapping[str, int]:
        """The weights of the datacenters that serve."""
        return {name: weight for name, weight in self.by_datacenter.items() if weight}


def proxy_weights(state: State, app: str, more: Sequence[str] = ()) -> ProxyWeights:
    """Return the weights for an application under a State; one that the document does not name has the default route.

    `more` are datacenters that count beside those of the document. As in decisions, an application without a selector
    is served everywhere, and `on_empty: any` by every datacenter in service. A proxy cannot choose "any worker", so
    each of these datacenters gets the same part.
    """
    resolved = state.resolve((app,), app, "")
    found = shares_of(resolved)
    names = dict.fromkeys((*state.document.datacenter_names(), *(name for name, _ in resolved.weights), *more))
    shares: Weights = ()
    match found.destination:
        case Destination.DATACENTERS:
            shares = found.by_datacenter
        case Destination.ANYWHERE:
            shares = equal(tuple(names))
        case Destination.ANYWHERE_IN_SERVICE:
            shares = equal(tuple(name for name in names if name not in resolved.out))
        case Destination.NOWHERE:
            pass
    weights = {**dict.fromkeys(names, 0), **whole_shares(shares, TOTAL)}
    return ProxyWeights(weights, unrouted=found.destination is Destination.ANYWHERE)
