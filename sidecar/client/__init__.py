"""The Python client of a sidecar: decisions, routes, status, changes."""

from sidecar.client.client import RoutingClient
from sidecar.client.values import AppRoute, FilterResult, GrayVersion, Outage, RouteUpdate, Status, Tls
from sidecar.errors import CallFailed, Overloaded, SidecarUnreachable, TooSlow
from sidecar.lifecycle import SourceState
from sidecar.routing.candidates import Worker
from sidecar.routing.decision import Reason
from sidecar.routing.outage import Fault, FaultKind, OutageKind, ProbeFailure

__all__ = [
    "AppRoute",
    "CallFailed",
    "Fault",
    "FaultKind",
    "FilterResult",
    "GrayVersion",
    "Outage",
    "OutageKind",
    "Overloaded",
    "ProbeFailure",
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
