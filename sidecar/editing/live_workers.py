"""What is known of the live workers of single applications: those that a sidecar was asked about lately."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sidecar.editing.placement import Counts
from sidecar.routing.scalars import SECOND_NS, format_duration


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """The workers of the newest request for an application: how many in each datacenter, and when (Unix ns)."""

    counts: Counts
    at_ns: int

    def age(self, now_ns: int) -> str:
        """Return how long ago that was, in whole seconds and at least one."""
        return format_duration(max(1, (now_ns - self.at_ns) // SECOND_NS) * SECOND_NS)


LiveWorkersLookup = Callable[[Collection[str], str], Mapping[str, LiveWorkers]]
"""Returns what has been seen lately of applications; those of which nothing has are left out.

Given the applications, and the revision that whoever has seen them must serve: another may be of another key.
"""
