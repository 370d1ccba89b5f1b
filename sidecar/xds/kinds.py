"""The types of xDS resources that are served, and whose each resource is."""

from __future__ import annotations

from enum import Enum

URL = "type.googleapis.com/"
"""The prefix of a type's URL."""
_EVERY = "*"


class Kind(Enum):
    """A type of resource, by its URL."""

    RUNTIME = URL + "envoy.service.runtime.v3.Runtime"
    ROUTES = URL + "envoy.config.route.v3.RouteConfiguration"
    LISTENERS = URL + "envoy.config.listener.v3.Listener"
    CLUSTERS = URL + "envoy.config.cluster.v3.Cluster"
    ENDPOINTS = URL + "envoy.config.endpoint.v3.ClusterLoadAssignment"

    @property
    def label(self) -> str:
        """Its name for operators."""
        return _LABELS[self]

    @property
    def whole(self) -> bool:
        """Whether a response of the state of the world means that resources which it does not have are gone."""
        return self in (Kind.LISTENERS, Kind.CLUSTERS)

    def app_of(self, name: str) -> str:
        """Return the application of a resource."""
        match self:
            case Kind.ROUTES:
                return name.removesuffix(f"/{_EVERY}")
            case Kind.CLUSTERS | Kind.ENDPOINTS:
                return split_cluster(name)[0] or name
            case _:
                return name


_LABELS = {
    Kind.RUNTIME: "RTDS",
    Kind.ROUTES: "RDS",
    Kind.LISTENERS: "LDS",
    Kind.CLUSTERS: "CDS",
    Kind.ENDPOINTS: "EDS",
}
FOR_ENVOY = (Kind.RUNTIME, Kind.ROUTES)
"""The types that need no endpoints."""


def routes_name(app: str) -> str:
    """Return the name of the routes for gRPC clients: those for Envoy are named like the application."""
    return f"{app}/{_EVERY}"


def cluster_name(app: str, datacenter: str) -> str:
    """Return the name of the cluster of an application in a datacenter, as gRPC clients know it."""
    return f"{app}/{datacenter}"


def split_cluster(name: str) -> tuple[str, str]:
    """Return application and datacenter of a cluster; a datacenter's name has no slash, an application's may."""
    app, _, datacenter = name.rpartition("/")
    return app, datacenter
