"""Finds the datacenter of a worker that the request does not name one for (docs/decision-rules.md)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Protocol

from sidecar.routing.drains import WorkerDrains, numeric_ip
from sidecar.routing.model import Datacenter, WorkerRule

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

# Bounds of the cache: metrics may be long, and differ with every heartbeat.
_REMEMBERED = 20_000
_LENGTH = 256


class LocationSource(Enum):
    """What a worker's datacenter is known from."""

    REQUEST = "request"
    METRICS = "metrics"
    TAG = "tag"
    ADDRESS = "address"


class Candidate(Protocol):
    """A candidate, as the API's `Worker` has it; unknown fields are empty."""

    @property
    def address(self) -> str:
        """`host:port`, the host an address or a name."""

    @property
    def datacenter(self) -> str:
        """Its datacenter, if the scheduler knows it."""

    @property
    def metrics(self) -> str:
        """Its own report: a datacenter's name, or a JSON object with a `datacenter`."""

    @property
    def tag(self) -> str:
        """Its tags, comma separated."""


def reported_datacenter(metrics: str) -> str:
    """Return the datacenter in a worker's metrics, or "": a JSON object's `datacenter`, or a bare name."""
    text = metrics.strip()
    if text.startswith("{"):
        try:
            reported = json.loads(text).get("datacenter")
        except (ValueError, RecursionError):
            return ""
        return reported if isinstance(reported, str) else ""
    return text if NAME.fullmatch(text) else ""


class CandidateLocations:
    """The datacenter of each candidate of a request, in the request's order; "" where it is not known.

    `by_datacenter` has the positions of the candidates in each, counted from 0, without the `drained` ones, which count
    as not there; `present` are all positions but those.
    """

    __slots__ = ("by_datacenter", "datacenters", "drained", "present")

    def __init__(self, datacenters: Sequence[str], drained: Collection[int] = ()) -> None:
        self.datacenters = datacenters
        self.drained = drained
        self.present: Sequence[int] = range(len(datacenters))
        if drained:
            self.present = [position for position in self.present if position not in drained]
        positions: defaultdict[str, list[int]] = defaultdict(list)
        for position in self.present:
            positions[datacenters[position]].append(position)
        self.by_datacenter: Mapping[str, Sequence[int]] = dict(positions)

    def at(self, datacenter: str) -> Sequence[int]:
        """Return the positions of the candidates in a datacenter."""
        return self.by_datacenter.get(datacenter, ())


class Locator:
    """Finds the datacenters of workers by a document's `datacenters` block; caches a bounded number."""

    def __init__(self, datacenters: Mapping[str, Datacenter] | None, workers: Iterable[WorkerRule] = ()) -> None:
        self.drains = WorkerDrains(workers)
        self._named = datacenters or {}
        networks = [(network, name) for name, datacenter in self._named.items() for network in datacenter.cidrs]
        networks.sort(key=lambda entry: -entry[0].prefixlen)
        # The longest prefix first: (version, network and mask as numbers, datacenter).
        self._networks = [
            (network.version, int(network.network_address), int(network.netmask), name) for network, name in networks
        ]
        self._known: dict[tuple[str, str, str], str] = {}

    def locate_all(self, workers: Iterable[Candidate]) -> CandidateLocations:
        """Return the datacenter of each worker."""
        locate = self.locate
        if not self.drains:
            return CandidateLocations([worker.datacenter or locate(worker) for worker in workers])
        workers = list(workers)
        match = self.drains.match
        drained = frozenset(position for position, worker in enumerate(workers) if match(worker.address))
        return CandidateLocations([worker.datacenter or locate(worker) for worker in workers], drained)

    def locate(self, worker: Candidate) -> str:
        """Return the datacenter of a worker for which the request has none: by metrics, tags, then address; else ""."""
        key = (worker.metrics, worker.tag, worker.address)
        found = self._known.get(key)
        if found is None:
            found = reported_datacenter(key[0]) or self._by_tag(key[1]) or self._by_address(key[2])
            if len(key[0]) + len(key[1]) + len(key[2]) <= _LENGTH:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = found
        return found

    def source(self, worker: Candidate) -> LocationSource | None:
        """Return what a worker's datacenter is known from, None where it is not known; for explanations."""
        if worker.datacenter:
            return LocationSource.REQUEST
        if reported_datacenter(worker.metrics):
            return LocationSource.METRICS
        if self._by_tag(worker.tag):
            return LocationSource.TAG
        return LocationSource.ADDRESS if self._by_address(worker.address) else None

    def _by_tag(self, tags: str) -> str:
        for part in tags.split(",") if tags else ():
            tag = part.strip()
            if tag in self._named:
                return tag
        return ""

    def _by_address(self, address: str) -> str:
        if not self._networks:
            return ""
        ip = numeric_ip(address)
        if ip is None:
            return ""
        for version, network, mask, name in self._networks:
            if version == ip[0] and ip[1] & mask == network:
                return name
        return ""
