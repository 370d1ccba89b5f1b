"""Finds the datacenter of a worker that the request does not name one for (docs/decision-rules.md)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Protocol

from sidecar.errors import BadRequest
from sidecar.routing.drains import WorkerDrains, numeric_ip
from sidecar.routing.model import Datacenter, RoutingDocument, WorkerRule
from sidecar.routing.networks import NetworkTable

Checkpoint = Callable[[], None]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

MAX_ADDRESS = 256
"""Characters of a worker's address: the longest name of a host has 253."""

MAX_TAG = 4096
"""Characters of a worker's tags."""

MAX_METRICS = 64 * 1024
"""Characters of a worker's metrics: JSON is parsed up to this size."""

# Bounds of the cache: metrics may be long, and differ with every heartbeat. An entry takes so much beside its texts.
_REMEMBERED_BYTES = 2 * 1024 * 1024
_LENGTH = 256
_ENTRY_BYTES = 300
# Workers that are located in one piece: other threads wait for it.
_PIECE = 256


class LocationSource(Enum):
    """The origin of a worker's datacenter."""

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
    """Finds the datacenters of workers by a document's `datacenters` block; caches a bounded number.

    `checkpoint` is called often while it is made: a document may have tens of thousands of networks.
    """

    def __init__(
        self,
        datacenters: Mapping[str, Datacenter] | None,
        workers: Iterable[WorkerRule] = (),
        checkpoint: Checkpoint = lambda: None,
    ) -> None:
        self.drains = WorkerDrains(workers)
        self._named = datacenters or {}
        self._owners = tuple(name for name, datacenter in self._named.items() if datacenter.cidrs)
        networks = ((cidr, owner) for owner, name in enumerate(self._owners) for cidr in self._named[name].cidrs)
        self._networks = NetworkTable(networks, checkpoint)
        self._known: dict[tuple[str, str, str], str] = {}
        self._size = 0

    def locate_all(self, workers: Iterable[Candidate], checkpoint: Checkpoint = lambda: None) -> CandidateLocations:
        """Return the datacenter of each worker; `checkpoint` is called every few hundred.

        Raises BadRequest, naming the worker's field, where one is too long to be looked at.
        """
        workers = list(workers)
        locate = self.locate
        found: list[str] = []
        for begin in range(0, len(workers), _PIECE):
            checkpoint()
            try:
                found += [worker.datacenter or locate(worker) for worker in workers[begin : begin + _PIECE]]
            except BadRequest as error:
                position = next(number for number, worker in enumerate(workers) if _excess(worker))
                raise BadRequest(f"candidates[{position}].{error.field}", error.message) from None
        return CandidateLocations(found, self._drained(workers, checkpoint) if self.drains else ())

    def locate(self, worker: Candidate) -> str:
        """Return the datacenter of a worker for which the request has none: by metrics, tags, then address; else "".

        Raises BadRequest, naming the field, for one that is too long to be looked at.
        """
        key = (worker.metrics, worker.tag, worker.address)
        found = self._known.get(key)
        if found is None:
            check_lengths(worker)
            metrics, tag, address = key
            found = reported_datacenter(metrics) or self._by_tag(tag) or self._by_address(address)
            self._remember(key, found)
        return found

    def _remember(self, key: tuple[str, str, str], found: str) -> None:
        size = len(key[0]) + len(key[1]) + len(key[2])
        if size > _LENGTH:
            return
        size += _ENTRY_BYTES
        if self._size + size > _REMEMBERED_BYTES:
            self._known.clear()
            self._size = 0
        self._known[key] = found
        self._size += size

    def _drained(self, workers: Sequence[Candidate], checkpoint: Checkpoint) -> frozenset[int]:
        drained = []
        for position, worker in enumerate(workers):
            if position % _PIECE == 0:
                checkpoint()
            check_lengths(worker, f"candidates[{position}].")
            if self.drains.match(worker.address):
                drained.append(position)
        return frozenset(drained)

    def source(self, worker: Candidate) -> LocationSource | None:
        """Return the origin of a worker's datacenter, None where it is not known; for explanations."""
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
        owner = self._networks.owner(*ip)
        return self._owners[owner] if owner >= 0 else ""


def locator_of(document: RoutingDocument, checkpoint: Checkpoint = lambda: None) -> Locator:
    """Return the locator of a document, made at the first call and kept: its caches outlive a State."""
    if document._locator is None:  # noqa: SLF001 - the document has the slot for it
        locator = Locator(document.datacenters, document.workers, checkpoint)
        object.__setattr__(document, "_locator", locator)
    found: Locator = document._locator  # noqa: SLF001
    return found


def check_lengths(worker: Candidate, where: str = "") -> None:
    """Raise BadRequest, naming the field behind `where`, for a worker with a field that is too long."""
    excess = _excess(worker)
    if excess is not None:
        field, found, most = excess
        message = f"found {found:,} characters, expected at most {most:,}: send only what names the datacenter"
        raise BadRequest(f"{where}{field}", message)


def _excess(worker: Candidate) -> tuple[str, int, int] | None:
    """Return the field of a worker that is too long, its length and the bound, None if there is none."""
    if len(worker.metrics) > MAX_METRICS:
        return "metrics", len(worker.metrics), MAX_METRICS
    if len(worker.tag) > MAX_TAG:
        return "tag", len(worker.tag), MAX_TAG
    if len(worker.address) > MAX_ADDRESS:
        return "address", len(worker.address), MAX_ADDRESS
    return None
