"""Answers of a sidecar as `-o json` shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sidecar.client import AppRoute, Outage, RouteUpdate, Status
from sidecar.routing.plain import fault_plain


def status_plain(status: Status) -> dict[str, Any]:
    """Return a status."""
    outages = [_outage(outage) for outage in status.outages]
    return {**asdict(status), "source_state": status.source_state.name, "outages": outages}


def update_plain(update: RouteUpdate) -> dict[str, Any]:
    """Return an update."""
    return {**asdict(update), "default": _route(update.default), "routes": [_route(route) for route in update.routes]}


def _route(route: AppRoute) -> dict[str, Any]:
    return {**asdict(route), "outages": [_outage(outage) for outage in route.outages]}


def _outage(outage: Outage) -> dict[str, Any]:
    fault = None if outage.fault is None else fault_plain(outage.fault)
    return {**asdict(outage), "kind": outage.kind.value if outage.kind else None, "fault": fault}
