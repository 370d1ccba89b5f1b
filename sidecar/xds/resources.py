"""The xDS resources of applications, encoded once under each State and file of endpoints, for all streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue

from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.xds import grpc_resources
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import FOR_ENVOY, Kind, cluster_name, routes_name
from sidecar.xds.settings import XdsSettings
from sidecar.xds.weights import ProxyWeights, proxy_weights

# Of those kept for the same inputs; streams may subscribe to more, which are then encoded again.
_MAX_KEPT = 10_000
_REJECTED = 503
# As a fraction with the denominator MILLION.
_ALWAYS = 1_000_000


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; equal contents have equal versions, in every sidecar."""

    content: Any
    version: str


class Resources:
    """Makes the resources of the newest inputs that were asked for; without endpoints, those for Envoy only."""

    def __init__(self, settings: XdsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._inputs: Inputs | None = None
        self._made: dict[tuple[Kind, str], Resource | None] = {}

    def find(self, inputs: Inputs, kind: Kind, name: str) -> Resource | None:
        """Return a resource, None where there is none of this name.

        A caller that comes while another one makes it waits for the same one.
        """
        with self._lock:
            if not inputs.same(self._inputs) or len(self._made) >= _MAX_KEPT:
                self._inputs, self._made = inputs, {}
            if (kind, name) not in self._made:
                self._made[kind, name] = self._make(inputs, kind, name)
            return self._made[kind, name]

    def _make(self, inputs: Inputs, kind: Kind, name: str) -> Resource | None:
        message = self._message(inputs, kind, name)
        if message is None:
            return None
        # Maps are sorted, or equal contents would have different bytes.
        encoded = message.SerializeToString(deterministic=True)
        return Resource(Any(type_url=kind.value, value=encoded), sha256(encoded).hexdigest()[:16])

    def _message(self, inputs: Inputs, kind: Kind, name: str) -> Message | None:
        if inputs.endpoints is None and kind not in FOR_ENVOY:
            return None
        match kind:
            case Kind.RUNTIME:
                return self._runtime(name, proxy_weights(inputs.state, name))
            case Kind.ROUTES:
                return self._routes(inputs, name)
            case Kind.LISTENERS:
                return grpc_resources.listener(name)
            case Kind.CLUSTERS:
                return grpc_resources.cluster(name)
            case Kind.ENDPOINTS:
                return grpc_resources.load_assignment(inputs, name)

    def _runtime(self, app: str, weights: ProxyWeights) -> Message:
        """Return the runtime layer of an application: a weight for each datacenter and for its cluster.

        Where the document leaves the choice open there are no weights, so those of Envoy's own configuration count.
        """
        settings, prefix = self._settings, self._settings.xds_runtime_prefix
        values = {f"{prefix}-rejected.{app}": _ALWAYS if weights.rejected else 0}
        if not weights.unrouted:
            for name, weight in weights.by_datacenter.items():
                values[f"{prefix}.{app}.{name}"] = weight
                values[f"{prefix}.{app}.{settings.cluster(app, name)}"] = weight
        layer = Struct()
        layer.update(values)
        runtime: Message = messages.Runtime(name=app, layer=layer)
        return runtime

    def _routes(self, inputs: Inputs, name: str) -> Message:
        """Return the routes of an application: to clusters of Envoy's configuration, or by name to those of CDS."""
        app = Kind.ROUTES.app_of(name)
        if inputs.endpoints is None or name != routes_name(app):
            return _route_configuration(name, name, proxy_weights(inputs.state, name), self._settings.cluster)
        endpoints = inputs.endpoints.of(app)
        weights = proxy_weights(inputs.state, app, tuple(endpoints))
        standby = tuple(datacenter for datacenter, found in endpoints.items() if found)
        return _route_configuration(name, app, weights, cluster_name, standby)


def _route_configuration(
    name: str, app: str, weights: ProxyWeights, cluster: Callable[[str, str], str], standby: Sequence[str] = ()
) -> Message:
    """Return a route of everything to the clusters of the datacenters that serve an application.

    Behind it, where nothing reaches it, is one to the `standby`: gRPC clients connect to all clusters of all routes, so
    they are connected before a switch. grpc-go 1.85 fails calls that choose a cluster at the moment when it is new.
    """
    route = messages.Route(match=messages.RouteMatch(prefix="/"))
    if not weights.serving:
        route.direct_response.status = _REJECTED
        route.direct_response.body.inline_string = f"no datacenter in service may serve {app}\n"
    else:
        clusters = route.route.weighted_clusters.clusters
        for datacenter, weight in weights.serving.items():
            clusters.add(name=cluster(app, datacenter)).weight.value = weight
    host = messages.VirtualHost(name=app, domains=["*"], routes=[route])
    if standby:
        behind = host.routes.add(match=messages.RouteMatch(prefix="/"))
        for datacenter in standby:
            behind.route.weighted_clusters.clusters.add(name=cluster(app, datacenter)).weight.value = 1
    # Envoy then rejects clusters that it does not have, and keeps its routes; else it would answer 503.
    validate = BoolValue(value=True)
    routes: Message = messages.RouteConfiguration(name=name, virtual_hosts=[host], validate_clusters=validate)
    return routes
