"""Networks as numbers, and the longest of many that holds an address."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ip import read_ip
from sidecar.routing.networks import Cidr, Mapped, NetworkTable, read_cidr
from tests.timing import cpu_seconds


@pytest.mark.parametrize(
    ("text", "network", "beyond"),
    [
        ("10.1.0.0/16", "10.1.0.0/16", False),
        ("10.1.2.0/16", "10.1.0.0/16", True),
        ("10.9.9.9", "10.9.9.9/32", False),
        ("0.0.0.0/0", "0.0.0.0/0", False),
        ("fd00:1::/32", "fd00:1::/32", False),
        ("fd00:1::7", "fd00:1::7/128", False),
        ("fd00:1::7/64", "fd00:1::/64", True),
        # Wider than the addresses that are IPv4's: a network of IPv6.
        ("::ffff:0:0/95", "::fffe:0:0/95", True),
    ],
)
def test_a_network_is_read(text: str, network: str, beyond: bool) -> None:
    """A network, or an address alone, which is the network of that one; bits beyond the prefix are noticed."""
    found = read_cidr(text)
    assert isinstance(found, tuple)
    assert not isinstance(found, Mapped)
    assert (str(found[0]), found[1]) == (network, beyond)


def test_ipv4_as_ipv6_is_told_apart() -> None:
    """It comes with the network as it should be written."""
    assert read_cidr("::ffff:10.0.0.0/104") == Mapped(Cidr(4, 10 << 24, 8))


@pytest.mark.parametrize(
    "text",
    ["", "/8", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/-1", "10.1.0.0/٣", "10.1.0/16", "fe80::1%eth0", "::/129", "a"],
)
def test_what_is_no_network(text: str) -> None:
    """None, for whatever `ipaddress` would refuse too."""
    assert read_cidr(text) is None


@given(st.ip_addresses())
def test_addresses_are_read_as_ipaddress_reads_them(address: IPv4Address | IPv6Address) -> None:
    """Version and number; IPv4 written as IPv6 counts as IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    expected = mapped or address
    assert read_ip(str(address)) == (expected.version, int(expected))


_numbers = st.sampled_from([0, 10 << 24, (10 << 24) + 255, (1 << 32) - 1])
_v4 = st.tuples(st.one_of(_numbers, st.integers(0, (1 << 32) - 1)), st.integers(0, 32))
_v6 = st.tuples(st.one_of(_numbers, st.integers(0, (1 << 128) - 1)), st.integers(0, 128))


def _cidr(version: int, number: int, length: int) -> Cidr:
    shift = {4: 32, 6: 128}[version] - length
    return Cidr(version, number >> shift << shift, length)


_cidrs = st.one_of(_v4.map(lambda each: _cidr(4, *each)), _v6.map(lambda each: _cidr(6, *each)))


def test_where_no_network_is_nobody_owns_an_address() -> None:
    """Of another version, before the first network, and after the last."""
    table = NetworkTable([(Cidr(4, 10 << 24, 8), 7)])
    assert [table.owner(version, number << 24) for version, number in ((6, 10), (4, 9), (4, 10), (4, 11))] == [
        -1,
        -1,
        7,
        -1,
    ]


@given(st.lists(_cidrs, max_size=30, unique=True), st.lists(_cidrs, max_size=10))
def test_the_longest_network_that_holds_an_address_owns_it(cidrs: list[Cidr], places: list[Cidr]) -> None:
    """As a search of all of them one by one finds it, at, before and after the ends of each."""
    table = NetworkTable((cidr, owner) for owner, cidr in enumerate(cidrs))
    assert bool(table) is bool(cidrs)
    for place in (*cidrs, *places):
        last = (1 << {4: 32, 6: 128}[place.version]) - 1
        end = int(ip_network(str(place)).broadcast_address)
        for number in {place.number, end, max(0, place.number - 1), min(last, end + 1)}:
            address = IPv4Address(number) if place.version == 4 else IPv6Address(number)
            holding = [(cidr.length, owner) for owner, cidr in enumerate(cidrs) if address in ip_network(str(cidr))]
            assert table.owner(place.version, number) == max(holding, default=(0, -1))[1]


@given(_cidrs)
def test_wider_networks(cidr: Cidr) -> None:
    """All that hold the network, the next wider one first."""
    found = list(cidr.wider())
    network = ip_network(str(cidr))
    assert [str(each) for each in found] == [
        str(network.supernet(new_prefix=n)) for n in range(cidr.length - 1, -1, -1)
    ]


@pytest.mark.no_cover
def test_many_networks_are_as_fast_as_few() -> None:
    """Sixty thousand networks take a search hardly longer than ten, and making their table is done in pieces."""
    numbers = range(60_000)
    pieces = 0

    def checkpoint() -> None:
        nonlocal pieces
        pieces += 1

    many = NetworkTable(((Cidr(4, number << 12, 24), number) for number in numbers), checkpoint)
    few = NetworkTable((Cidr(4, number << 12, 24), number) for number in range(10))
    assert pieces > 2 * len(numbers)

    def search(table: NetworkTable) -> None:
        for number in numbers:
            table.owner(4, number << 12 | 7)

    times = [cpu_seconds(partial(search, table)) for table in (few, many)]
    assert many.owner(4, 59_999 << 12 | 7) == 59_999
    assert few.owner(6, 7) == -1
    assert times[1] < 20 * times[0]
    assert read_ip(str(ip_address("10.0.0.1"))) == (4, (10 << 24) + 1)
