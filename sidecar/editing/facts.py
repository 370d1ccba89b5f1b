"""The facts outside the document by which a change is judged: live workers, and outages that sidecars found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sidecar.editing.placement import Counts
from sidecar.routing.model import DEFAULT_OBSERVATIONS, RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.scalars import SECOND_NS, format_duration
from sidecar.sources.base import Gray


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """The workers in the newest request for an application: how many in each datacenter, and when (Unix ns).

    `fewest` are those that `runs` different runs have shown at least; None where the sidecar does not count them.
    """

    counts: Counts
    at_ns: int
    fewest: Counts | None = None
    runs: int = 0

    def sure(self, datacenter: str) -> int:
        """Return how many workers a datacenter has for sure: one request proves nothing."""
        return (self.counts if self.fewest is None else self.fewest).get(datacenter, 0)

    @property
    def evident(self) -> bool:
        """Whether enough runs have shown the workers."""
        return self.fewest is None or self.runs >= DEFAULT_OBSERVATIONS

    def combined(self, other: LiveWorkers) -> LiveWorkers:
        """Return the better evidence of two sidecars: some before none, then the newest; without any, the fewest."""
        if self.evident != other.evident:
            return self if self.evident else other
        newer, older = (self, other) if self.at_ns >= other.at_ns else (other, self)
        if newer.fewest is None or older.fewest is None or newer.evident:
            return newer
        fewest = {name: min(count, older.fewest.get(name, 0)) for name, count in newer.fewest.items()}
        return replace(newer, fewest=fewest)

    def age(self, now_ns: int) -> str:
        """Return how long ago that was, in whole seconds and at least one."""
        return format_duration(max(1, (now_ns - self.at_ns) // SECOND_NS) * SECOND_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts that a change is judged by, beside the document.

    `counts` are the live workers of each datacenter as the operator gave them, None where nobody did. `live_workers`
    are those that sidecars saw, by application; of one that is not there nothing is known. `outages` are the
    datacenters that sidecars found down. `gray` is the gray version that some clients of the config center get in place
    of the key's text, None where there is none. `replaced` is the document that the last change replaced, None where
    it is not known. `signing` is True where the new document is going to be signed.
    """

    counts: Counts | None = None
    live_workers: Mapping[str, LiveWorkers] = field(default_factory=dict)
    outages: Outages = field(default_factory=dict)
    gray: Gray | None = None
    replaced: RoutingDocument | None = None
    signing: bool = False
