"""Which datacenter serves a key of an application, and whether one serves it at all: what followers of a route go by.

A follower knows no workers, so every datacenter in service counts as having enough. A key is decided as the job of
that id, so a follower and a scheduler that use the same ids agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.routing.decision import Reason, order_of
from sidecar.routing.model import Active, OnEmpty
from sidecar.routing.outage import Outage
from sidecar.routing.shares import Destination, Shares, shares_of
from sidecar.routing.state import State


@dataclass(frozen=True, slots=True)
class Serving:
    """The datacenter that serves a key, "" where no single one does: then `reason` is UNROUTED, ANY or NO_WORKERS."""

    datacenter: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Activity:
    """Whether a datacenter serves an application now, and its `share` of the keys, None where shares do not apply.

    `shares` says where the application's keys go. `outage` is why the datacenter is out of service for it, or why work
    has left it.
    """

    active: bool
    share: float | None
    shares: Shares
    outage: Outage | None


def serving(state: State, app: str, key: str) -> Serving:
    """Return the datacenter that serves a key of an application, any text, under a State."""
    resolved = state.resolve((app,), app, key)
    selector = resolved.route.selector
    if selector is None:
        return Serving("", Reason.UNROUTED)
    order = order_of(resolved, app, key, "")
    # As in shares: what work has left after faults comes last, whether or not it is well again.
    preferred = sorted(order, key=resolved.failed_over.__contains__) if resolved.failed_over else order
    for datacenter in preferred:
        if datacenter not in resolved.out:
            if datacenter != order[0]:
                return Serving(datacenter, Reason.FAILOVER)
            return Serving(datacenter, Reason.ACTIVE if isinstance(selector, Active) else Reason.SPLIT)
    return Serving("", Reason.ANY if resolved.route.on_empty is OnEmpty.ANY else Reason.NO_WORKERS)


def activity(state: State, app: str, datacenter: str) -> Activity:
    """Return whether a datacenter serves an application under a State.

    As in decisions, an application without a route is served everywhere, in datacenters that the document does not name
    too.
    """
    resolved = state.resolve((app,), app, "")
    found = shares_of(resolved)
    outage = resolved.out.get(datacenter) or resolved.failed_over.get(datacenter)
    if found.destination is Destination.DATACENTERS:
        share = dict(found.by_datacenter).get(datacenter, 0.0)
        return Activity(share > 0, share, found, outage)
    if found.destination is Destination.ANYWHERE_IN_SERVICE:
        return Activity(datacenter not in resolved.out, None, found, outage)
    return Activity(found.destination is Destination.ANYWHERE, None, found, outage)
