"""Finds out which workers a document has drained: those that count as not there (docs/decision-rules.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from sidecar.ip import read_ip
from sidecar.routing.model import WorkerRule
from sidecar.routing.networks import BITS

MAX_RULES = 1000
"""The rules of a document; matching a worker takes about as long with all of them as with one."""

MAX_MATCH = 256
"""The characters of a pattern."""

# A trie of texts by character; "" marks the end of one.
_Trie: TypeAlias = "dict[str, _Trie]"


def host_of(address: str) -> str:
    """Return the host of `host:port`, `[host]:port` or a bare host."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def numeric_ip(address: str) -> tuple[int, int] | None:
    """Return version and number of an address's IP, None for a host name; IPv4 written as IPv6 counts as IPv4."""
    host = host_of(address)
    return read_ip(host.partition("%")[0] if "%" in host else host)


class WorkerDrains:
    """The rules with `available: false`, compiled: exact addresses, networks by length, patterns as tries.

    A worker costs at most one look-up for each length of a network and one step for each character of its address,
    however many rules there are.
    """

    __slots__ = ("_exact", "_networks", "_prefixes", "_suffixes", "patterns")

    def __init__(self, rules: Iterable[WorkerRule]) -> None:
        self.patterns = tuple(rule.match for rule in rules if not rule.available)
        self._exact: set[str] = set()
        self._prefixes: _Trie = {}
        self._suffixes: _Trie = {}
        networks: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for rule in rules:
            if rule.available:
                continue
            if rule.network is not None:
                version, number, length = rule.network
                shift = BITS[version] - length
                networks[version, shift].add(number >> shift)
            elif rule.match.endswith("*"):
                _insert(self._prefixes, rule.match[:-1])
            elif rule.match.startswith("*"):
                _insert(self._suffixes, rule.match[:0:-1])
            else:
                self._exact.add(rule.match)
        self._networks = tuple((version, shift, numbers) for (version, shift), numbers in networks.items())

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def match(self, address: str) -> bool:
        """Return whether the worker at an address is drained."""
        if address in self._exact:
            return True
        if self._prefixes and _begins(self._prefixes, address):
            return True
        if self._suffixes and _begins(self._suffixes, address[::-1]):
            return True
        if not self._networks:
            return False
        ip = numeric_ip(address)
        return ip is not None and any(
            ip[0] == version and ip[1] >> shift in numbers for version, shift, numbers in self._networks
        )


def _insert(trie: _Trie, text: str) -> None:
    for char in text:
        trie = trie.setdefault(char, {})
    trie[""] = {}


def _begins(trie: _Trie, text: str) -> bool:
    """Return whether the text begins with a text of the trie."""
    for char in text:
        if "" in trie:
            return True
        found = trie.get(char)
        if found is None:
            return False
        trie = found
    return "" in trie
