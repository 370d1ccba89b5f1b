"""The methods of xDS that the gRPC server serves: ADS, and the services of the types for Envoy by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from sidecar.server.duplex import OpenSession
from sidecar.table import ViewProvider
from sidecar.xds.clients import Clients
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import FOR_ENVOY, Kind
from sidecar.xds.resources import Resources
from sidecar.xds.session import DeltaSession, WorldSession
from sidecar.xds.settings import XdsSettings

if TYPE_CHECKING:
    from sidecar.xds.endpoints_file import EndpointsFile

_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_RUNTIME = "envoy.service.runtime.v3.RuntimeDiscoveryService"
_ROUTES = "envoy.service.route.v3.RouteDiscoveryService"


class XdsService:
    """Serves the shares of applications to proxies and gRPC clients, from the view that watchers may see.

    gRPC clients are served where a file has the `endpoints` of applications.
    """

    def __init__(self, table: ViewProvider, settings: XdsSettings, endpoints: EndpointsFile | None = None) -> None:
        self._table = table
        self._endpoints = endpoints
        self.clients = Clients(endpoints=None if endpoints is None else endpoints.status)
        resources = Resources(settings)
        kinds = FOR_ENVOY if endpoints is None else tuple(Kind)
        world = partial(WorldSession, self._inputs, resources, self.clients)
        delta = partial(DeltaSession, self._inputs, resources, self.clients)
        # The messages are the same: an Envoy whose ADS is another control plane can use the single services.
        self.methods: Mapping[str, OpenSession] = {
            f"/{_ADS}/StreamAggregatedResources": partial(world, kinds=kinds),
            f"/{_ADS}/DeltaAggregatedResources": partial(delta, kinds=kinds),
            f"/{_RUNTIME}/StreamRuntime": partial(world, kind=Kind.RUNTIME),
            f"/{_RUNTIME}/DeltaRuntime": partial(delta, kind=Kind.RUNTIME),
            f"/{_ROUTES}/StreamRoutes": partial(world, kind=Kind.ROUTES),
            f"/{_ROUTES}/DeltaRoutes": partial(delta, kind=Kind.ROUTES),
        }

    def connect(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when other endpoints are in force: it has all streams look for an update."""
        if self._endpoints is not None:
            self._endpoints.connect(wake)

    def start(self) -> None:
        """Start to follow the file of endpoints."""
        if self._endpoints is not None:
            self._endpoints.start()

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds."""
        if self._endpoints is not None:
            self._endpoints.stop(timeout)

    def _inputs(self) -> Inputs | None:
        state = self._table.announced.state
        if state is None:
            return None
        return Inputs(state, None if self._endpoints is None else self._endpoints.endpoints)
