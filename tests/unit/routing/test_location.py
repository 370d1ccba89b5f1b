"""In which datacenter a worker is."""

from __future__ import annotations

import pytest

from sidecar.errors import BadRequest
from sidecar.pb.dcsidecar.v1.routing_pb2 import Worker
from sidecar.routing import location
from sidecar.routing.document import parse_document
from sidecar.routing.drains import host_of
from sidecar.routing.location import LocationSource, Locator, locator_of, reported_datacenter
from sidecar.routing.state import State

BLOCK = parse_document(b"""
    datacenters:
      dc1: {cidrs: [10.1.0.0/16, "fd00:1::/32"]}
      dc2: {cidrs: [10.0.0.0/8, 10.1.128.0/17, 10.1.7.7, "::/0"]}
""").datacenters


@pytest.mark.parametrize(
    ("metrics", "datacenter"),
    [
        ("dc1", "dc1"),
        (" dc1\n", "dc1"),
        ("7", "7"),
        ('{"datacenter": "dc1", "load": 3}', "dc1"),
        ('\n {"datacenter": "no name at all"}', "no name at all"),
        ('{"datacenter": ""}', ""),
        ('{"datacenter": null}', ""),
        ('{"datacenter": ["dc1"]}', ""),
        ('{"load": 3}', ""),
        ('{"datacenter": ', ""),
        ('"dc1"', ""),
        ("[]", ""),
        ("cpu 0.3", ""),
        ("", ""),
        ('{"a": ' * 100_000, ""),
    ],
)
def test_metrics_tell_by_a_name_or_an_object(metrics: str, datacenter: str) -> None:
    """Whatever workers report, it is a datacenter or nothing."""
    assert reported_datacenter(metrics) == datacenter


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.1.0.1:27777", "10.1.0.1"),
        ("10.1.0.1", "10.1.0.1"),
        ("[fd00::1]:1", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("host:1", "host"),
        ("", ""),
        ("[fd00::1", "fd00::1"),
        (":", ""),
    ],
)
def test_the_host_is_what_stands_before_the_port(address: str, host: str) -> None:
    """IPv6 addresses have brackets where they have a port."""
    assert host_of(address) == host


@pytest.mark.parametrize(
    ("worker", "where", "source"),
    [
        (Worker(address="10.2.0.1:1", metrics="dc1", tag="dc2"), "dc1", LocationSource.METRICS),
        (Worker(address="10.1.0.1:1", tag="gpu, dc2 ,dc1"), "dc2", LocationSource.TAG),
        (Worker(address="10.1.0.1:1", tag="gpu"), "dc1", LocationSource.ADDRESS),
        (Worker(address="10.1.200.1:1"), "dc2", LocationSource.ADDRESS),
        (Worker(address="10.1.7.7:1"), "dc2", LocationSource.ADDRESS),
        (Worker(address="10.9.0.1"), "dc2", LocationSource.ADDRESS),
        (Worker(address="[fd00:1::5]:1"), "dc1", LocationSource.ADDRESS),
        (Worker(address="[fd00:1::5%eth0]:1"), "dc1", LocationSource.ADDRESS),
        (Worker(address="[::ffff:10.1.0.1]:1"), "dc1", LocationSource.ADDRESS),
        (Worker(address="::ffff:192.0.2.1"), "", None),
        (Worker(address="2001:db8::1"), "dc2", LocationSource.ADDRESS),
        (Worker(address="192.0.2.1:1"), "", None),
        (Worker(address="worker-1.dc1.example:1"), "", None),
        (Worker(address="010.1.0.1:1"), "", None),
        (Worker(), "", None),
        (Worker(address="10.1.0.1:1", datacenter="else where"), "dc1", LocationSource.REQUEST),
    ],
)
def test_metrics_then_tags_then_the_longest_network(worker: Worker, where: str, source: LocationSource | None) -> None:
    """The first that has a datacenter is believed; an IPv4 address is one also when it is written as IPv6."""
    locator = Locator(BLOCK)
    assert locator.locate(worker) == where
    assert locator.locate(worker) == where, "asked again, from memory"
    assert locator.source(worker) is source


def test_without_a_block_tags_and_addresses_tell_nothing() -> None:
    """Only what names a datacenter itself is left."""
    locator = Locator(None)
    assert locator.locate(Worker(address="10.1.0.1:1", tag="dc1")) == ""
    assert locator.locate(Worker(metrics="dc9")) == "dc9"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics that change with every heartbeat do not fill the memory, nor do long ones."""
    monkeypatch.setattr(location, "_REMEMBERED_BYTES", 10 * 330)
    locator = Locator(BLOCK)
    for n in range(100):
        assert locator.locate(Worker(address=f"10.1.0.{n}:1", metrics="cpu 0.3")) == "dc1"
        assert len(locator._known) <= 10
    before = len(locator._known)
    locator.locate(Worker(metrics="x" * 1000))
    assert len(locator._known) == before


@pytest.mark.parametrize(
    ("worker", "field", "most"),
    [
        (Worker(metrics="x" * 65_537), "metrics", "65,536"),
        (Worker(tag="," * 4097), "tag", "4,096"),
        (Worker(address="1" * 257), "address", "256"),
    ],
)
def test_a_field_that_is_too_long_is_refused(worker: Worker, field: str, most: str) -> None:
    """It is not looked at, since that would hold up others; the error names the field and its bound."""
    with pytest.raises(BadRequest, match=f"{field}: found .* expected at most {most}"):
        Locator(BLOCK).locate(worker)


def test_a_long_address_is_refused_where_workers_are_drained() -> None:
    """Its datacenter may be known, but patterns are compared with the whole address."""
    document = parse_document(b"default: dc1\nworkers: [{match: a*, available: false}]")
    with pytest.raises(BadRequest, match=r"candidates\[1\]\.address: found 300"):
        locator_of(document).locate_all([Worker(), Worker(address="b" * 300, datacenter="dc1")])


def test_the_worker_is_named_whose_field_is_too_long() -> None:
    """By its position in the request."""
    with pytest.raises(BadRequest, match=r"candidates\[300\]\.tag: found 5,000"):
        Locator(BLOCK).locate_all([*(Worker(address=f"a{number}") for number in range(300)), Worker(tag="," * 5000)])


def test_the_locator_is_made_with_the_document() -> None:
    """While the text is parsed, with its checkpoint; every State of the document has the same one."""
    calls: list[int] = []
    document = parse_document(
        b"datacenters: {dc1: {cidrs: [10.0.0.0/8]}}\ndefault: dc1", checkpoint=lambda: calls.append(1)
    )
    made = locator_of(document, lambda: pytest.fail("made again"))
    assert State(document, 1, 0).locator is made
    assert State(document, 2, 5).locator is made
    assert calls
