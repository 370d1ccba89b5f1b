"""Asks a sidecar from Python: decisions, routes, status, changes."""

from sidecar.client.client import RoutingClient
from sidecar.client.failures import CallFailed, Overloaded, TooSlow, Unreachable
from sidecar.client.values import FilterResult, Route, RouteUpdate, Status, Tls, Worker
from sidecar.lifecycle import SourceState
from sidecar.routing.decision import Reason

__all__ = [
    "CallFailed",
    "FilterResult",
    "Overloaded",
    "Reason",
    "Route",
    "RouteUpdate",
    "RoutingClient",
    "SourceState",
    "Status",
    "Tls",
    "TooSlow",
    "Unreachable",
    "Worker",
]
