from __future__ import annotations

import socket

import pytest

from sidecar.config.hosts import read_pattern
from sidecar.errors import ProbeNotAllowed
from sidecar.health.hosts import AllowedHosts
from sidecar.routing.model import Probe, ProbeKind


def hosts(*patterns: str) -> AllowedHosts:
    """Return what these patterns allow."""
    found = [read_pattern(pattern) for pattern in patterns]
    return AllowedHosts([pattern for pattern in found if pattern is not None])


def probe(host: str, port: int = 443) -> Probe:
    """Return a probe of a host."""
    return Probe(ProbeKind.TCP, f"{host}:{port}", host, port)


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gw.dc1 have an inner and an outer address; addresses stand for themselves."""

    def ask(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        addresses = ["10.1.0.7", "192.0.2.9"] if host.lower() == "gw.dc1" else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", ask)


@pytest.mark.parametrize(
    ("pattern", "host", "port", "allowed"),
    [
        ("gw.dc1", "gw.dc1", 443, True),
        ("gw.dc1", "GW.DC1", 443, True),
        ("gw.dc1", "gw.dc10", 443, False),
        ("gw.dc1:443", "gw.dc1", 443, True),
        ("gw.dc1:443", "gw.dc1", 22, False),
        ("*.dc1", "gw.dc1", 443, True),
        ("*.dc1", "dc1", 443, False),
        ("*.dc1", "evildc1", 443, False),
        ("*", "anything", 1, True),
        ("10.1.0.0/16", "10.1.2.3", 443, True),
        ("10.1.0.0/16:443", "10.1.2.3", 22, False),
        ("10.1.0.0/16", "10.2.2.3", 443, False),
        ("10.1.0.0/16", "::ffff:10.1.2.3", 443, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("[fd00::/8]:443", "fd00::1", 443, True),
        ("[fd00::/8]:443", "fd00::1", 80, False),
        ("10.1.0.7", "10.1.0.7", 443, True),
    ],
)
def test_only_what_is_allowed_is_reached(pattern: str, host: str, port: int, allowed: bool) -> None:
    """Names, domains and networks, with a port or any: what they say is allowed, and nothing else."""
    assert hosts(pattern).might(probe(host, port)) is allowed
    if allowed:
        assert hosts(pattern).addresses(probe(host, port))
    else:
        with pytest.raises(ProbeNotAllowed):
            hosts(pattern).addresses(probe(host, port))


def test_a_network_allows_those_addresses_of_a_name_that_are_in_it() -> None:
    """A document cannot reach an address outside the allowed networks by a name that stands for it."""
    assert hosts("10.0.0.0/8").addresses(probe("gw.dc1")) == ["10.1.0.7"]
    assert hosts("gw.dc1").addresses(probe("gw.dc1")) == ["10.1.0.7", "192.0.2.9"]
    with pytest.raises(ProbeNotAllowed, match=r"gw\.dc1 has no address that --probe-hosts allows"):
        hosts("172.16.0.0/12").addresses(probe("gw.dc1"))


def test_nobody_may_be_probed_unless_it_is_said() -> None:
    """Without patterns there are no probes."""
    assert not hosts().might(probe("gw.dc1"))


@pytest.mark.parametrize("text", ["", "a b", "a:b", "http://gw", "*x", "[gw]:443", "10.1.0.1/16", "gw:443:1"])
def test_what_is_no_pattern(text: str) -> None:
    """A text that is neither name nor network is none."""
    assert read_pattern(text) is None
