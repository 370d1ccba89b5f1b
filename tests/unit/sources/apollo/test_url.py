"""The URL of an Apollo source."""

from __future__ import annotations

import pytest

from sidecar.errors import ConfigError
from sidecar.sources.apollo.url import ApolloAddress, parse, parse_address


def test_names_servers_application_cluster_and_namespace() -> None:
    """Each part is where the URL has it; the port is 8080 by default, and the text is under `content`."""
    key = parse("apollo://meta1,meta2:8081/dispatch/default/routing.yaml")
    assert key.meta == (ApolloAddress("meta1", 8080), ApolloAddress("meta2", 8081))
    assert (key.app, key.cluster, key.namespace, key.key) == ("dispatch", "default", "routing.yaml", "content")
    assert str(key) == "apollo://meta1:8080,meta2:8081/dispatch/default/routing.yaml"


def test_a_namespace_of_properties_needs_a_key() -> None:
    """The key is the fragment; the suffix .properties is not part of such a namespace's name."""
    key = parse("apollo+https://meta/dispatch/dc1/application.properties#dc.routing")
    assert (key.namespace, key.key, key.meta[0].tls) == ("application", "dc.routing", True)
    assert str(key) == "apollo+https://meta:8080/dispatch/dc1/application#dc.routing"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("apollo://me:secret@meta/a/default/n.yaml", "holds credentials"),
        ("apollo://meta/a/n.yaml", "expected /APP_ID/CLUSTER/NAMESPACE"),
        ("apollo://meta/a/default/n.yaml?x=1", "expected none"),
        ("apollo://meta/a/default/application", "expected #KEY"),
        ("apollo://meta/a/default/n.yaml#key", "leave #key out"),
        ("apollo://meta:70000/a/default/n.yaml", "expected 1 to 65535"),
        ("apollo://[::1]:8080/a/default/n.yaml", "an IPv6 address only behind a name"),
    ],
)
def test_refuses_what_it_cannot_mean(url: str, message: str) -> None:
    """The error says what was found and expected, and never repeats a password."""
    with pytest.raises(ConfigError, match=message) as refused:
        parse(url)
    assert "secret" not in str(refused.value)


def test_the_address_of_a_service_may_have_a_path() -> None:
    """As registered behind a gateway; what is no http URL is refused."""
    assert parse_address("https://gw.example/apollo/", "x") == ApolloAddress("gw.example", 443, True, "/apollo")
    with pytest.raises(ConfigError, match="x is not the URL of a server"):
        parse_address("gw.example:8080", "x")
