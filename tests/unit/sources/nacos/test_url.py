"""The URL of a Nacos key."""

from __future__ import annotations

import pytest

from sidecar.errors import ConfigError
from sidecar.sources import open_source
from sidecar.sources.nacos.url import NacosAddress, NacosKey, parse


def test_a_whole_url_is_read() -> None:
    """Servers, group, data id, namespace and context path come out as written; the port is 8848 where none is."""
    target = parse("nacos://n1:8848,n2.example:9999,n3/dispatch/routing.yaml?namespace=prod&context=/config/")
    assert target == NacosKey(
        (NacosAddress("n1", 8848), NacosAddress("n2.example", 9999), NacosAddress("n3", 8848)),
        "dispatch",
        "routing.yaml",
        "prod",
        "/config",
    )


@pytest.mark.parametrize("query", ["", "?namespace=", "?namespace=public"])
def test_the_public_namespace_has_the_empty_id(query: str) -> None:
    """What the console calls public has no id on a Nacos 2, whatever the operator writes."""
    assert parse(f"nacos://n1/g/d{query}").namespace == ""


def test_what_is_shown_is_the_url_without_defaults() -> None:
    """The text of a target can be read as a URL again, and is the same target."""
    target = parse("nacos://n1,n2:1/g:x/d?namespace=prod&context=x")
    assert str(target) == "nacos://n1:8848,n2:1/g%3Ax/d?namespace=prod&context=/x"
    assert parse(str(target)) == target
    assert str(parse("nacos://n1/g/d?namespace=public")) == "nacos://n1:8848/g/d"


def test_an_address_server_may_stand_for_the_servers() -> None:
    """Its port is 8080 where none is written; the text of the target is that URL again."""
    target = parse("nacos+endpoint://addresses/dispatch/routing?namespace=prod")
    assert target == NacosKey((), "dispatch", "routing", "prod", endpoint=NacosAddress("addresses", 8080))
    assert str(target) == "nacos+endpoint://addresses:8080/dispatch/routing?namespace=prod"
    assert parse(str(target)) == target
    assert parse("nacos+endpoint://addresses:65535/g/d").endpoint == NacosAddress("addresses", 65535)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nacos+endpoint://a1,a2/g/d", "expected a host name"),
        ("nacos+endpoint:///g/d", "expected a host name"),
        ("nacos+endpoint://a1:0/g/d", "expected 1 to 65535"),
        ("nacos://n1/g", "expected /GROUP/DATA_ID"),
        ("nacos://n1/g/d/e", "expected /GROUP/DATA_ID"),
        ("nacos://n1//d", "expected /GROUP/DATA_ID"),
        ("nacos:///g/d", "expected a host name"),
        ("nacos://n1,/g/d", "expected a host name"),
        ("nacos://[::1]:8848/g/d", "expected a host name"),
        ("nacos://n1:x/g/d", "expected 1 to 64535"),
        ("nacos://n1:/g/d", "expected 1 to 64535"),
        ("nacos://n1:65000/g/d", "expected 1 to 64535"),
        ("nacos://n1/g/d?namespce=x", "did you mean 'namespace'"),
        ("nacos://n1/g/d?namespace=a%20b", "namespace 'a b'"),
        ("nacos://n1/g%2F/d", "group 'g/'"),
        ("nacos://n1/g/cipher-d", "encrypts"),
        ("nacos://n1/g/d#x", "'#x'"),
        ("http://n1/g/d", "begins with 'http'"),
    ],
)
def test_what_is_wrong_is_said(url: str, complaint: str) -> None:
    """Each mistake gets a message of its own, with what was found or what is expected."""
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert complaint in str(caught.value)


def test_credentials_in_the_url_are_refused_without_repeating_them() -> None:
    """The message says where they belong."""
    with pytest.raises(ConfigError, match="DC_SIDECAR_NACOS_USERNAME") as caught:
        parse("nacos://reader:s3cret@n1/g/d")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("servers", "loopback"),
    [
        ("127.0.0.1:8848,localhost", True),
        ("127.0.0.1,nacos:8848", False),
        ("10.1.0.7", False),
        ("localhost.example", False),
        ("nacos+endpoint://127.0.0.1/G/d", False),
    ],
)
def test_a_password_is_not_sent_in_plain_text_unless_allowed(servers: str, loopback: bool) -> None:
    """A login without TLS goes no further than loopback; signed requests have no secret in them."""
    url = servers if "//" in servers else f"nacos://{servers}/G/d"
    login = {"nacos-username": "u", "nacos-password": "s3cret"}
    if loopback:
        open_source(url, login)
    else:
        with pytest.raises(ConfigError, match=r"in plain text.*nacos-allow-plaintext") as refused:
            open_source(url, login)
        assert "s3cret" not in str(refused.value)
    open_source(url, {})
    open_source(url, login | {"nacos-tls": "true"})
    open_source(url, login | {"nacos-allow-plaintext": "true"})
    open_source(url, {"nacos-access-key": "k", "nacos-secret-key": "s"})
