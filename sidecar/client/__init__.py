"""The Python client of a sidecar: decisions, routes, status, changes."""

from sidecar.client.client import RoutingClient
from sidecar.client.errors import CallFailed, Overloaded, SidecarUnreachable, TooSlow
from sidecar.client.values import AppRoute, FilterResult, RouteUpdate, Status, Tls, Worker
from sidecar.lifecycle import SourceState
from sidecar.routing.decision import Reason

__all__ = [
    "AppRoute",
    "CallFailed",
    "FilterResult",
    "Overloaded",
    "Reason",
    "RouteUpdate",
    "RoutingClient",
    "SidecarUnreachable",
    "SourceState",
    "Status",
    "Tls",
    "TooSlow",
    "Worker",
]
