"""What was observed outside the document when a change is judged: live workers, and outages that sidecars found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.editing.placement import Counts
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.scalars import SECOND_NS, format_duration
from sidecar.sources.base import Gray


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """The workers in the newest request for an application: how many in each datacenter, and when (Unix ns)."""

    counts: Counts
    at_ns: int

    def age(self, now_ns: int) -> str:
        """Return how long ago that was, in whole seconds and at least one."""
        return format_duration(max(1, (now_ns - self.at_ns) // SECOND_NS) * SECOND_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known beside the document.

    `counts` are the live workers of each datacenter as the operator gave them, None where nobody did. `live_workers`
    are those that sidecars saw, by application; of one that is not there nothing is known. `outages` are the
    datacenters that sidecars found down. `gray` is the gray version that some clients of the config center get instead
    of what is written, None where there is none. `replaced` is the document that the last change replaced, None where
    it is not known. `signing` is True where the new document is going to be signed.
    """

    counts: Counts | None = None
    live_workers: Mapping[str, LiveWorkers] = field(default_factory=dict)
    outages: Outages = field(default_factory=dict)
    gray: Gray | None = None
    replaced: RoutingDocument | None = None
    signing: bool = False
