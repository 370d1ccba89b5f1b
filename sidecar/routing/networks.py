"""Networks in CIDR form as small values, and the longest of many that holds an address, by binary search."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from typing import NamedTuple

from sidecar.ip import read_ip

Checkpoint = Callable[[], None]

BITS = {4: 32, 6: 128}
"""The bits of an address, by version."""

_MAPPED_BITS = 96
# Keys that are sorted in one piece: other threads wait for it.
_PIECE = 4096
# In a key the length follows the number: of two networks that begin alike the wider one comes first.
_LENGTH_BITS = 8


class Cidr(NamedTuple):
    """A network: the IP version, the address as a number without bits beyond the prefix, and the prefix's length.

    A NamedTuple, and not an `ipaddress` network, since a document may have tens of thousands: this takes a fifth.
    """

    version: int
    number: int
    length: int

    def __str__(self) -> str:
        from ipaddress import IPv4Address, IPv6Address  # noqa: PLC0415 - for messages only

        address = IPv4Address(self.number) if self.version == 4 else IPv6Address(self.number)
        return f"{address}/{self.length}"

    def wider(self) -> Iterator[Cidr]:
        """Yield the networks that hold this one, the next wider one first."""
        bits = BITS[self.version]
        for length in range(self.length - 1, -1, -1):
            shift = bits - length
            yield Cidr(self.version, self.number >> shift << shift, length)


class Mapped(NamedTuple):
    """IPv4 networks written as IPv6, and the network as it should be written."""

    cidr: Cidr


def read_cidr(text: str) -> tuple[Cidr, bool] | Mapped | None:
    """Return a network, and whether the text had bits beyond its prefix; None for a text that is none.

    An address alone is the network of that one. IPv4 networks written as IPv6 are returned as Mapped.
    """
    host, slash, digits = text.partition("/")
    found = read_ip(host)
    if found is None or (slash and not (digits.isascii() and digits.isdigit() and len(digits) <= 3)):
        return None
    version, number = found
    written = 6 if ":" in host else 4
    length = int(digits) if slash else BITS[written]
    if length > BITS[written]:
        return None
    if written != version:
        if length < _MAPPED_BITS:
            # Wider than the block of mapped addresses: an IPv6 network, which begins at another address.
            number, version = (0xFFFF << 32) | number, 6
        else:
            return Mapped(Cidr(4, number, length - _MAPPED_BITS))
    shift = BITS[version] - length
    masked = number >> shift << shift
    return Cidr(version, masked, length), masked != number


class NetworkTable:
    """Finds the owner of the longest network that holds an address, in a time that hardly grows with their number.

    The networks of a version are cut into ranges that do not overlap; each begins where the one before ends. Nested
    networks of every length and disjoint ones take the same: one search.
    """

    __slots__ = ("_owners", "_starts", "_tables")

    def __init__(self, networks: Iterable[tuple[Cidr, int]], checkpoint: Checkpoint = lambda: None) -> None:
        by_version: dict[int, dict[int, int]] = {}
        for cidr, owner in networks:
            checkpoint()
            by_version.setdefault(cidr.version, {})[cidr.number << _LENGTH_BITS | cidr.length] = owner
        self._tables = {version: _ranges(owners, BITS[version], checkpoint) for version, owners in by_version.items()}

    def __bool__(self) -> bool:
        return bool(self._tables)

    def owner(self, version: int, number: int) -> int:
        """Return the owner of the longest network that holds an address, -1 if none does."""
        table = self._tables.get(version)
        if table is None:
            return -1
        starts, owners = table
        position = bisect_right(starts, number)
        return owners[position - 1] if position else -1


def _ranges(owners: dict[int, int], bits: int, checkpoint: Checkpoint) -> tuple[Sequence[int], array[int]]:
    """Return where each range begins, ascending, and its owner, -1 for none."""
    starts: list[int] = []
    owned: array[int] = array("i")

    def begin(at: int, owner: int) -> None:
        if starts and starts[-1] == at:
            owned[-1] = owner
        else:
            starts.append(at)
            owned.append(owner)

    # The networks that hold the place: where each ends, and its owner; the innermost last.
    around: list[tuple[int, int]] = []
    for key in _ascending(owners, checkpoint):
        checkpoint()
        number, length = key >> _LENGTH_BITS, key & ((1 << _LENGTH_BITS) - 1)
        while around and around[-1][0] < number:
            end, _ = around.pop()
            begin(end + 1, around[-1][1] if around else -1)
        begin(number, owners[key])
        around.append((number | ((1 << (bits - length)) - 1), owners[key]))
    while around:
        end, _ = around.pop()
        if end + 1 < 1 << bits:
            begin(end + 1, around[-1][1] if around else -1)
    # IPv4 fits into machine words, an eighth of the memory.
    return (array("L", starts) if bits == BITS[4] else starts), owned


def _ascending(keys: Iterable[int], checkpoint: Checkpoint) -> Iterator[int]:
    """Yield numbers in order; sorted in pieces, as one sort of many would hold up other threads."""
    waiting = list(keys)
    pieces = []
    for begin in range(0, len(waiting), _PIECE):
        checkpoint()
        pieces.append(sorted(waiting[begin : begin + _PIECE]))
    return merge(*pieces)
