"""The xDS resources by which gRPC clients find an application: xds:///APP.

What clients take of each is in gRPC's proposals A27 (listeners, clusters, endpoints), A28 (routes), A56 (priorities).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as manager_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import UInt32Value

from sidecar.routing.shares import Weights, equal, normalized, takeovers, whole_shares
from sidecar.xds.endpoints import Endpoint
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import routes_name, split_cluster

# What the weights of a priority add up to.
_TOTAL = 1_000_000
_UNLIMITED = 2**32 - 1


def listener(app: str) -> Message:
    """Return the listener of an application, which refers to its routes."""
    routes = manager_pb2.Rds(route_config_name=routes_name(app), config_source=_ads())
    router = manager_pb2.HttpFilter(name="router", typed_config=_packed(router_pb2.Router()))
    manager = manager_pb2.HttpConnectionManager(rds=routes, http_filters=[router])
    api_listener = api_listener_pb2.ApiListener(api_listener=_packed(manager))
    message: Message = listener_pb2.Listener(name=app, api_listener=api_listener)
    return message


def cluster(name: str) -> Message | None:
    """Return a cluster, whose endpoints have its name; None for what cannot be the name of one."""
    app, datacenter = split_cluster(name)
    if not app or not datacenter:
        return None
    found = cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=_ads()),
        lb_policy=cluster_pb2.Cluster.ROUND_ROBIN,
    )
    # By default clients fail all beyond 1,024 calls at the same time.
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds(max_requests=UInt32Value(value=_UNLIMITED))
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
    found = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
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


def _localities(
    step: Weights, by_datacenter: Mapping[str, tuple[Endpoint, ...]]
) -> list[endpoint_components_pb2.LocalityLbEndpoints]:
    """Return a locality for the endpoints of each datacenter that weigh the same.

    Clients send each endpoint of a locality the same part, whatever it weighs; they heed the weights of localities.
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
        endpoint_components_pb2.LocalityLbEndpoints(
            locality=base_pb2.Locality(region=members[key][0], sub_zone=f"weight-{key.rpartition('/')[2]}"),
            load_balancing_weight=UInt32Value(value=weight),
            lb_endpoints=[_endpoint(each) for each in members[key][1]],
        )
        for key, weight in whole_shares(tuple(shares.items()), _TOTAL).items()
    ]


def _endpoint(endpoint: Endpoint) -> endpoint_components_pb2.LbEndpoint:
    found = endpoint_components_pb2.LbEndpoint()
    address = found.endpoint.address.socket_address
    address.address, address.port_value = endpoint.host, endpoint.port
    return found


def _ads() -> config_source_pb2.ConfigSource:
    source = config_source_pb2.AggregatedConfigSource()
    return config_source_pb2.ConfigSource(ads=source, resource_api_version=config_source_pb2.V3)


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed
