"""The xDS resources of applications, encoded once under each State for all streams."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.service.runtime.v3 import rtds_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue

from sidecar.routing.state import State
from sidecar.xds.settings import XdsSettings
from sidecar.xds.weights import ProxyWeights, proxy_weights

# Of those kept under one State; streams may subscribe to more, which are then encoded again.
_MAX_KEPT = 10_000
_REJECTED = 503
# As a fraction with the denominator MILLION.
_ALWAYS = 1_000_000
_URL = "type.googleapis.com/"


class Kind(Enum):
    """The types of resources that are served, by their URLs."""

    RUNTIME = _URL + rtds_pb2.Runtime.DESCRIPTOR.full_name
    ROUTES = _URL + route_pb2.RouteConfiguration.DESCRIPTOR.full_name

    @property
    def label(self) -> str:
        """What operators call it."""
        return {Kind.RUNTIME: "RTDS", Kind.ROUTES: "RDS"}[self]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; equal contents have equal versions, in every sidecar."""

    content: Any
    version: str


class Resources:
    """Makes the resources of the newest State that was asked for. A resource is named for its application."""

    def __init__(self, settings: XdsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._state: State | None = None
        self._made: dict[tuple[Kind, str], Resource] = {}

    def find(self, state: State, kind: Kind, name: str) -> Resource:
        """Return a resource; a caller that comes while another one makes it waits for the same one."""
        with self._lock:
            if self._state is not state or len(self._made) >= _MAX_KEPT:
                self._state, self._made = state, {}
            resource = self._made.get((kind, name))
            if resource is None:
                resource = self._made[kind, name] = self._make(state, kind, name)
            return resource

    def _make(self, state: State, kind: Kind, app: str) -> Resource:
        weights = proxy_weights(state, app)
        message = self._runtime(app, weights) if kind is Kind.RUNTIME else self._routes(app, weights)
        # Maps are sorted, or equal contents would have different bytes.
        encoded = message.SerializeToString(deterministic=True)
        return Resource(Any(type_url=kind.value, value=encoded), sha256(encoded).hexdigest()[:16])

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
        runtime: Message = rtds_pb2.Runtime(name=app, layer=layer)
        return runtime

    def _routes(self, app: str, weights: ProxyWeights) -> Message:
        """Return a route of everything to the clusters of the datacenters that serve an application."""
        parts = route_components_pb2
        route = parts.Route(match=parts.RouteMatch(prefix="/"))
        if not weights.serving:
            route.direct_response.status = _REJECTED
            route.direct_response.body.inline_string = f"no datacenter in service may serve {app}\n"
        else:
            clusters = route.route.weighted_clusters.clusters
            for name, weight in weights.serving.items():
                clusters.add(name=self._settings.cluster(app, name)).weight.value = weight
        host = parts.VirtualHost(name=app, domains=["*"], routes=[route])
        # Envoy then rejects clusters that it does not have, and keeps its routes; else it would answer 503.
        validate = BoolValue(value=True)
        routes: Message = route_pb2.RouteConfiguration(name=app, virtual_hosts=[host], validate_clusters=validate)
        return routes
