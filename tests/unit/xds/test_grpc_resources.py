"""The resources by which gRPC clients find an application."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.routing.document import parse_document
from sidecar.routing.outage import NO_WORKERS, unhealthy
from sidecar.routing.state import State
from sidecar.xds.endpoints import Endpoints, read_endpoints
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import Kind, cluster_name, routes_name, split_cluster
from sidecar.xds.resources import Resources
from sidecar.xds.settings import XdsSettings

FILE = b"""
apps:
  shop:
    dc1: ["10.1.0.20:8000", "10.1.0.21:8000"]
    dc2: ["10.2.0.20:8000"]
    dc3: ["10.3.0.20:8000"]
    dc4: ["10.4.0.20:8000"]
"""
DATACENTERS = "datacenters: {dc1: {}, dc2: {}, dc3: {}}\n"
MESSAGES: dict[Kind, type[Message]] = {
    Kind.LISTENERS: messages.Listener,
    Kind.ROUTES: messages.RouteConfiguration,
    Kind.CLUSTERS: messages.Cluster,
    Kind.ENDPOINTS: messages.ClusterLoadAssignment,
}


def inputs(text: str, *down: str, file: bytes = FILE) -> Inputs:
    """Return inputs with a document in which datacenters are down."""
    document = parse_document((DATACENTERS + text).encode())
    unhealthy_ = dict.fromkeys(down, unhealthy(NO_WORKERS))
    return Inputs(State(document, 1, 0, unhealthy=unhealthy_), read_endpoints(file, "FILE"))


def found(kind: Kind, name: str, given: Inputs):  # type: ignore[no-untyped-def] # noqa: ANN201 - the messages have no types
    """Return the message of a resource."""
    resource = Resources(XdsSettings(xds_cluster="{dc}")).find(given, kind, name)
    assert resource is not None
    assert resource.content.type_url == kind.value
    return MESSAGES[kind].FromString(resource.content.value)


def priorities(given: Inputs, name: str = "shop/dc1") -> list[dict[str, int]]:
    """Return the weights of the datacenters of each priority."""
    steps: dict[int, dict[str, int]] = {}
    for each in found(Kind.ENDPOINTS, name, given).endpoints:
        step = steps.setdefault(each.priority, {})
        step[each.locality.region] = step.get(each.locality.region, 0) + each.load_balancing_weight.value
    assert [*steps] == [*range(len(steps))]
    return [*steps.values()]


def test_names_can_be_taken_apart() -> None:
    """An application may have slashes and hyphens in its name."""
    assert split_cluster(cluster_name("team/a-b", "dc-1")) == ("team/a-b", "dc-1")
    assert Kind.ROUTES.app_of(routes_name("team/a")) == "team/a"
    assert Kind.ROUTES.app_of("team/a") == "team/a"


def test_listener_refers_to_the_routes() -> None:
    """By ADS, with the router as the only filter."""
    listener = found(Kind.LISTENERS, "shop", inputs("default: dc1"))
    manager = messages.HttpConnectionManager.FromString(listener.api_listener.api_listener.value)
    assert listener.name == "shop"
    assert manager.rds.route_config_name == "shop/*"
    assert manager.rds.config_source.HasField("ads")
    assert [each.typed_config.type_url.rpartition(".")[2] for each in manager.http_filters] == ["Router"]


def test_routes_name_the_clusters_that_are_sent() -> None:
    """Those for gRPC clients by application and datacenter, beside Envoy's by the template."""
    given = inputs("default: {split: {dc1: 9, dc2: 1}}")
    for name, expected in (("shop/*", ["shop/dc1", "shop/dc2"]), ("shop", ["dc1", "dc2"])):
        routes = found(Kind.ROUTES, name, given)
        assert routes.name == name
        clusters = routes.virtual_hosts[0].routes[0].route.weighted_clusters.clusters
        assert {each.name: each.weight.value for each in clusters} == dict(
            zip(expected, (900_000_000, 100_000_000), strict=True)
        )


def test_clients_are_connected_to_all_datacenters() -> None:
    """By a second route, which no call reaches: also to those that nothing goes to now, if they have endpoints."""
    given = inputs("default: dc1", "dc2", file=b"apps: {shop: {dc1: ['10.1.0.20:1'], dc2: ['10.2.0.20:1'], dc3: []}}")
    first, second = found(Kind.ROUTES, "shop/*", given).virtual_hosts[0].routes
    assert first.match == second.match
    assert [each.name for each in first.route.weighted_clusters.clusters] == ["shop/dc1"]
    assert [each.name for each in second.route.weighted_clusters.clusters] == ["shop/dc1", "shop/dc2"]


def test_application_that_nothing_may_serve() -> None:
    """Its route is none that gRPC calls can take: they fail with UNAVAILABLE."""
    routes = found(Kind.ROUTES, "shop/*", inputs("default: dc1", "dc1"))
    assert routes.virtual_hosts[0].routes[0].direct_response.status == 503


def test_cluster_takes_its_endpoints_by_its_name() -> None:
    """By ADS, without a bound of calls at the same time."""
    cluster = found(Kind.CLUSTERS, "shop/dc1", inputs("default: dc1"))
    assert (cluster.name, cluster.type) == ("shop/dc1", messages.Cluster.EDS)
    assert cluster.eds_cluster_config.eds_config.HasField("ads")
    assert cluster.circuit_breakers.thresholds[0].max_requests.value == 2**32 - 1


@pytest.mark.parametrize(
    ("default", "down", "expected"),
    [
        # Nobody may take over.
        ("dc1", (), [{"dc1": 1_000_000}]),
        ("{active: dc1, backups: [dc3, dc2]}", (), [{"dc1": 1_000_000}, {"dc3": 1_000_000}, {"dc2": 1_000_000}]),
        ("{active: dc1, backups: [dc3, dc2]}", ("dc3",), [{"dc1": 1_000_000}, {"dc2": 1_000_000}]),
        (
            "{split: {dc1: 2, dc2: 3, dc3: 1}, backups: [dc2]}",
            (),
            [{"dc1": 1_000_000}, {"dc2": 750_000, "dc3": 250_000}],
        ),
        # The work of a datacenter that is down itself is elsewhere by the routes already.
        ("{active: dc1, backups: [dc2]}", ("dc1",), [{"dc1": 1_000_000}, {"dc2": 1_000_000}]),
        (
            "{active: dc1, backups: [dc2], on_empty: any}",
            ("dc3",),
            [{"dc1": 1_000_000}, {"dc2": 1_000_000}, {"dc4": 1_000_000}],
        ),
        ("{}", ("dc3",), [{"dc1": 1_000_000}, {"dc2": 500_000, "dc4": 500_000}]),
    ],
)
def test_priorities_are_the_order_of_decisions(
    default: str, down: tuple[str, ...], expected: list[dict[str, int]]
) -> None:
    """The cluster's datacenter first, then those that take over, none of which is out of service."""
    assert priorities(inputs(f"default: {default}", *down)) == expected


def test_drilled_datacenter_does_not_take_over() -> None:
    """Neither for all applications nor for this one."""
    for apps in ("", "apps: [shop], "):
        drill = f'drills: [{{datacenter: dc2, {apps}until: "2126-01-01T00:00:00Z"}}]\n'
        assert priorities(inputs(drill + "default: {active: dc1, backups: [dc2]}")) == [{"dc1": 1_000_000}]


def test_datacenter_without_endpoints_hands_on_its_work() -> None:
    """As one without workers does in decisions; where nobody has endpoints there is no priority."""
    given = inputs(
        "default: {active: dc1, backups: [dc2, dc3]}",
        file=b"apps: {shop: {dc1: [], dc3: ['10.3.0.20:8000']}, other: {}}",
    )
    assert priorities(given) == [{"dc3": 1_000_000}]
    assert priorities(given, "other/dc1") == []
    assert priorities(given, "unknown/dc1") == []


def test_unrouted_application_is_served_where_it_has_endpoints() -> None:
    """Where the document names no datacenter at all."""
    state = State(parse_document(b"default: {}"), 1, 0)
    given = Inputs(state, Endpoints("e1", read_endpoints(FILE, "FILE").apps))
    clusters = found(Kind.ROUTES, "shop/*", given).virtual_hosts[0].routes[0].route.weighted_clusters.clusters
    assert [each.name for each in clusters] == ["shop/dc1", "shop/dc2", "shop/dc3", "shop/dc4"]


def test_endpoints_of_different_weights_are_localities() -> None:
    """Since clients send all endpoints of a locality the same part."""
    file = b"""
apps:
  shop:
    dc1: ["10.1.0.20:8000", {address: "10.1.0.21:8000", weight: 3}, "10.1.0.22:8000"]
"""
    assignment = found(Kind.ENDPOINTS, "shop/dc1", inputs("default: dc1", file=file))
    localities = {each.locality.sub_zone: each for each in assignment.endpoints}
    assert {name: each.load_balancing_weight.value for name, each in localities.items()} == {
        "weight-1": 400_000,
        "weight-3": 600_000,
    }
    addresses = [each.endpoint.address.socket_address for each in localities["weight-1"].lb_endpoints]
    assert [(each.address, each.port_value) for each in addresses] == [("10.1.0.20", 8000), ("10.1.0.22", 8000)]


@pytest.mark.parametrize("name", ["shop", "/dc1", "shop/"])
@pytest.mark.parametrize("kind", [Kind.CLUSTERS, Kind.ENDPOINTS])
def test_names_of_no_cluster(kind: Kind, name: str) -> None:
    """There is no resource of such a name."""
    assert Resources(XdsSettings()).find(inputs("default: dc1"), kind, name) is None


def test_without_a_file_there_are_resources_for_envoy_only() -> None:
    """A listener of an application that nothing can reach would be of no use."""
    given = Inputs(State(parse_document(b"dc1"), 1, 0))
    for kind in (Kind.LISTENERS, Kind.CLUSTERS, Kind.ENDPOINTS):
        assert Resources(XdsSettings()).find(given, kind, "shop/dc1") is None
