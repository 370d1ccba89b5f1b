"""Why a datacenter does not serve: outages and the faults behind them, as values with a kind and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from sidecar.routing.model import Drill


class OutageKind(Enum):
    """Why a datacenter is out of service, or comes last."""

    MARKED = "marked"
    DRILL = "drill"
    UNHEALTHY = "unhealthy"
    FAILED_OVER = "failed-over"


class FaultKind(Enum):
    """Why a datacenter counts as lost.

    OTHER is a fault that is known by its text alone: an older version of the sidecar wrote or sent it.
    """

    NO_WORKERS = "no-workers"
    TOO_FEW_WORKERS = "too-few-workers"
    PROBES = "probes"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A probe that is down, such as `tcp gw.dc1:443`, and the error of its last attempt, as it came from outside."""

    probe: str
    error: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. TOO_FEW_WORKERS has `workers` of the `needed`, PROBES the `probes` and since when, OTHER a `text`.

    `since_ns` is in Unix nanoseconds, 0 where it is not known.
    """

    kind: FaultKind
    workers: int = 0
    needed: int = 0
    probes: tuple[ProbeFailure, ...] = ()
    since_ns: int = 0
    text: str = ""


NO_WORKERS = Fault(FaultKind.NO_WORKERS)


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a datacenter is out of service, or why work has left it; times in Unix nanoseconds, 0 where not known.

    A DRILL has the drill's `reason`, its start and its end; UNHEALTHY and FAILED_OVER have a `fault`, and `since_ns`
    says when health checks judged the datacenter down, or when work left it.
    """

    kind: OutageKind
    since_ns: int = 0
    until_ns: int = 0
    reason: str = ""
    fault: Fault | None = None

    @property
    def cause(self) -> Outage:
        """The outage without the times of a drill: one that is prolonged is still the same."""
        return replace(self, since_ns=0, until_ns=0) if self.kind is OutageKind.DRILL else self


MARKED = Outage(OutageKind.MARKED)

Outages = Mapping[str, Outage]
"""The outages of some datacenters, by name."""


def unhealthy(fault: Fault) -> Outage:
    """Return the outage of a datacenter that health checks have judged down."""
    return Outage(OutageKind.UNHEALTHY, since_ns=fault.since_ns, fault=fault)


def drilled(drills: Iterable[Drill]) -> dict[str, Outage]:
    """Return the outages that drills make; of several for a datacenter the last one counts, up to the latest end."""
    found: dict[str, Outage] = {}
    for drill in drills:
        known = found.get(drill.datacenter)
        until_ns = max(drill.until_ns, known.until_ns if known else 0)
        found[drill.datacenter] = Outage(OutageKind.DRILL, drill.start_ns or 0, until_ns, drill.reason)
    return found
