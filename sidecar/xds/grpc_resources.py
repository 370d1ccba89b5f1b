"""The xDS resources by which gRPC clients find an application: xds:///APP.

What clients take of each is in gRPC's proposals A27 (listeners, clusters, endpoints), A28 (routes), A56 (priorities).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import UInt32Value

from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.routing.shares import Weights, equal, normalized, takeovers, whole_shares
from sidecar.xds.endpoints import Endpoint
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import URL, routes_name, split_cluster

# What the weights of a priority add up to.
_TOTAL = 1_000_000
_UNLIMITED = 2**32 - 1
ROUTER = "envoy.extensions.filters.http.router.v3.Router"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def listener(app: str) -> Message:
    """Return the listener of an application, which refers to its routes."""
    routes = messages.Rds(route_config_name=routes_name(app), config_source=_ads())
    router = messages.HttpFilter(name="router", typed_config=_packed(messages.Router(), ROUTER))
    manager = messages.HttpConnectionManager(rds=routes, http_filters=[router])
    api_listener = messages.ApiListener(api_listener=_packed(manager, MANAGER))
    message: Message = messages.Listener(name=app, api_listener=api_listener)
    return message


def cluster(name: str) -> Message | None:
    """Return a cluster, whose endpoints have its name; None for a name that no cluster can have."""
    app, datacenter = split_cluster(name)
    if not app or not datacenter:
        return None
    found = messages.Cluster(
        name=name,
        type=messages.Cluster.EDS,
        eds_cluster_config=messages.Cluster.EdsClusterConfig(eds_config=_ads()),
        lb_policy=messages.Cluster.ROUND_ROBIN,
    )
    # By default clients fail all beyond 1,024 calls at the same time.
    thresholds = messages.CircuitBreakers.Thresholds(max_requests=UInt32Value(value=_UNLIMITED))
    found.circuit_breakers.thresholds.append(thresholds)
    message: Message = found
    return message


def load_assignment(inputs: Inputs, name: str) -> Message | None:
    """Return the endpoints of a cluster: its datacenter first, then those that take over, each step a priority.

    A datacenter without endpoints has no part in it. None for what cannot be the name of a cluster.
    """
    app, datacenter = split_cluster(name)
    if not app or not datacenter:
        return None
    by_datacenter = inputs.endpoints.of(app) if inputs.endpoints is not None else {}
    resolved = inputs.state.resolve((app,), app, "")
    names = tuple(dict.fromkeys((*inputs.state.document.datacenter_names(), *by_datacenter)))
    found = messages.ClusterLoadAssignment(cluster_name=name)
    priority = 0
    for step in (equal((datacenter,)), *takeovers(resolved, datacenter, names)):
        localities = _localities(step, by_datacenter)
        for locality in localities:
            locality.priority = priority
        found.endpoints.extend(localities)
        # Clients reject priorities with gaps.
        priority += bool(localities)
    message: Message = found
    return message


def _localities(step: Weights, by_datacenter: Mapping[str, tuple[Endpoint, ...]]) -> list[messages.LocalityLbEndpoints]:
    """Return a locality for the endpoints of each datacenter that weigh the same.

    Clients send each endpoint of a locality the same part and ignore its weight; they heed the weights of localities.
    """
    shares: dict[str, float] = {}
    members: dict[str, tuple[str, list[Endpoint]]] = {}
    present = tuple((name, weight) for name, weight in step if by_datacenter.get(name))
    for name, share in normalized(present) if present else ():
        endpoints = by_datacenter[name]
        total = sum(each.weight for each in endpoints)
        for weight, count in Counter(each.weight for each in endpoints).items():
            key = f"{name}/{weight}"
            shares[key] = share * weight * count / total
            members[key] = name, [each for each in endpoints if each.weight == weight]
    return [
        messages.LocalityLbEndpoints(
            locality=messages.Locality(region=members[key][0], sub_zone=f"weight-{key.rpartition('/')[2]}"),
            load_balancing_weight=UInt32Value(value=weight),
            lb_endpoints=[_endpoint(each) for each in members[key][1]],
        )
        for key, weight in whole_shares(tuple(shares.items()), _TOTAL).items()
    ]


def _endpoint(endpoint: Endpoint) -> messages.LbEndpoint:
    found = messages.LbEndpoint()
    address = found.endpoint.address.socket_address
    address.address, address.port_value = endpoint.host, endpoint.port
    return found


def _ads() -> messages.ConfigSource:
    source = messages.AggregatedConfigSource()
    return messages.ConfigSource(ads=source, resource_api_version=messages.V3)


def _packed(message: Message, original: str) -> Any:
    """Return a message as one of this full name, which is the same on the wire."""
    return Any(type_url=URL + original, value=message.SerializeToString(deterministic=True))
