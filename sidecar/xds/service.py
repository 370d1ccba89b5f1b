"""The methods of xDS that the gRPC server serves: ADS, and the services of the two types by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sidecar.server.duplex import OpenSession
from sidecar.table import ViewProvider
from sidecar.xds.clients import Clients
from sidecar.xds.resources import Kind, Resources
from sidecar.xds.session import DeltaSession, WorldSession
from sidecar.xds.settings import XdsSettings

_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_RUNTIME = "envoy.service.runtime.v3.RuntimeDiscoveryService"
_ROUTES = "envoy.service.route.v3.RouteDiscoveryService"


class XdsService:
    """Serves the shares of applications to proxies, from the view that watchers may see."""

    def __init__(self, table: ViewProvider, settings: XdsSettings) -> None:
        self.clients = Clients()
        resources = Resources(settings)
        world = partial(WorldSession, table, resources, self.clients)
        delta = partial(DeltaSession, table, resources, self.clients)
        # The messages are the same: an Envoy whose ADS is another control plane can use the single services.
        self.methods: Mapping[str, OpenSession] = {
            f"/{_ADS}/StreamAggregatedResources": world,
            f"/{_ADS}/DeltaAggregatedResources": delta,
            f"/{_RUNTIME}/StreamRuntime": partial(world, kind=Kind.RUNTIME),
            f"/{_RUNTIME}/DeltaRuntime": partial(delta, kind=Kind.RUNTIME),
            f"/{_ROUTES}/StreamRoutes": partial(world, kind=Kind.ROUTES),
            f"/{_ROUTES}/DeltaRoutes": partial(delta, kind=Kind.ROUTES),
        }
