"""What a resource of an application has in it."""

from __future__ import annotations

from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import Kind
from sidecar.xds.resources import Resource, Resources
from sidecar.xds.settings import XdsSettings

OUT = "datacenters: {dc1: {available: false}}\n"


def state(text: str) -> State:
    """Return a State of a document."""
    return State(parse_document(text.encode()), 1, 0)


def found(inputs: Inputs, kind: Kind, name: str, **settings: str) -> Resource:
    """Return a resource that there is."""
    resource = Resources(XdsSettings(**settings)).find(inputs, kind, name)
    assert resource is not None
    return resource


def runtime(text: str, app: str = "billing", **settings: str) -> dict[str, float]:
    """Return the values of an application's runtime layer."""
    resource = found(Inputs(state(text)), Kind.RUNTIME, app, **settings)
    message = messages.Runtime.FromString(resource.content.value)
    assert message.name == app
    return {key: value.number_value for key, value in message.layer.fields.items()}


def test_runtime_has_a_key_for_each_datacenter_and_its_cluster() -> None:
    """A route finds its weights by the name of the datacenter or of the cluster, whichever its clusters have."""
    assert runtime("default: {split: {dc1: 9, dc2: 1}}") == {
        "dc-rejected.billing": 0,
        "dc.billing.dc1": 900_000_000,
        "dc.billing.billing-dc1": 900_000_000,
        "dc.billing.dc2": 100_000_000,
        "dc.billing.billing-dc2": 100_000_000,
    }


def test_names_follow_the_settings() -> None:
    """Prefix and template can be set; braces in the name of an application are only a name."""
    values = runtime("dc1", "{dc}", xds_cluster="{dc}/{app}", xds_runtime_prefix="shares")
    assert values == {"shares-rejected.{dc}": 0, "shares.{dc}.dc1": 1e9, "shares.{dc}.dc1/{dc}": 1e9}


def test_runtime_of_an_application_that_nothing_may_serve() -> None:
    """All weights are 0, and the key of the rejecting route is always true."""
    assert runtime(OUT + "default: dc1", xds_cluster="{dc}") == {"dc-rejected.billing": 1e6, "dc.billing.dc1": 0}


def test_runtime_leaves_an_open_choice_to_envoy() -> None:
    """Without a selector there is no weight, so Envoy's static ones count."""
    assert runtime("datacenters: {dc1: {}}\ndefault: {}") == {"dc-rejected.billing": 0}


def test_routes_have_the_clusters_that_serve() -> None:
    """One route for everything, checked by Envoy to name known clusters only."""
    resource = found(Inputs(state("default: {split: {dc1: 9, dc2: 1, dc3: 0}}")), Kind.ROUTES, "billing")
    routes = messages.RouteConfiguration.FromString(resource.content.value)
    assert routes.validate_clusters.value
    (host,) = routes.virtual_hosts
    (route,) = host.routes
    assert (routes.name, [*host.domains], route.match.prefix) == ("billing", ["*"], "/")
    clusters = {each.name: each.weight.value for each in route.route.weighted_clusters.clusters}
    assert clusters == {"billing-dc1": 900_000_000, "billing-dc2": 100_000_000}


def test_routes_of_an_application_that_nothing_may_serve() -> None:
    """They answer 503 with the reason."""
    resource = found(Inputs(state(OUT + "default: dc1")), Kind.ROUTES, "billing")
    (host,) = messages.RouteConfiguration.FromString(resource.content.value).virtual_hosts
    assert host.routes[0].direct_response.status == 503
    assert "billing" in host.routes[0].direct_response.body.inline_string


def test_resource_is_encoded_once_under_a_state() -> None:
    """All streams share it; equal contents have equal versions under another State, others do not."""
    resources = Resources(XdsSettings())
    now = state("dc1")
    first = resources.find(Inputs(now), Kind.ROUTES, "billing")
    assert resources.find(Inputs(now), Kind.ROUTES, "billing") is first
    same = resources.find(Inputs(state("default: dc1")), Kind.ROUTES, "billing")
    other = resources.find(Inputs(state("dc2")), Kind.ROUTES, "billing")
    assert same is not first
    versions = [each.version if each is not None else "" for each in (first, same, other)]
    assert versions[0] == versions[1] != versions[2] != ""
