"""The clients of xDS as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sidecar.routing.plain import time_plain

if TYPE_CHECKING:
    from sidecar.followers.xds_clients import Subscription, XdsClient, XdsClients

Json = dict[str, Any]


def xds_clients_json(clients: XdsClients) -> Json:
    """Return the clients that are connected, those that left, and the file of endpoints if there is one."""
    found: Json = {"clients": [_client(each) for each in clients.all()]}
    if clients.endpoints is not None:
        found["endpoints"] = asdict(clients.endpoints())
    return found


def _client(client: XdsClient) -> Json:
    return {
        "node": client.node,
        "cluster": client.cluster,
        "agent": client.agent,
        "address": client.address,
        "protocol": client.protocol,
        "connected": client.connected,
        "since": time_plain(client.since_ns),
        "last_seen": time_plain(client.seen_ns),
        "subscriptions": [_subscription(each) for each in client.subscriptions],
    }


def _subscription(subscription: Subscription) -> Json:
    rejection = subscription.rejection
    return {
        "type": subscription.type,
        "names": [*subscription.names],
        "count": subscription.count,
        "sent": subscription.sent,
        "acknowledged": subscription.acknowledged,
        "acknowledged_at": time_plain(subscription.acknowledged_at_ns),
        "rejection": rejection
        and {"version": rejection.version, "message": rejection.message, "at": time_plain(rejection.at_ns)},
    }
