"""The view: everything that is in force, as one frozen value; and the events that change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from sidecar.lifecycle import SourceStatus
from sidecar.routing.failover import NONE, Failovers, FailoverStates, Observation
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.state import State
from sidecar.sources.base import Report


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A text and the valid document that it is."""

    text: bytes
    document: RoutingDocument


class OverrideProblemKind(Enum):
    """The problem of the file of `--override`."""

    UNREADABLE = "unreadable"
    REFUSED = "refused"
    # The file was removed, but the source has no document: the override stays in force.
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class OverrideProblem:
    """Why the newest state of the override's file is not in force, with the error as it came."""

    kind: OverrideProblemKind
    error: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """The local document of `--override`: since `since_ns` it decides instead of the source's, if it is loaded."""

    url: str
    loaded: LoadedDocument | None = None
    since_ns: int = 0
    problem: OverrideProblem | None = None


class SkipReason(Enum):
    """Why a probe that the document asks for is not made."""

    NOT_ALLOWED = "not-allowed"  # by --probe-hosts
    TOO_MANY = "too-many"
    BUSY = "busy"  # too many earlier probes have not ended


@dataclass(frozen=True, slots=True)
class SkippedProbe:
    """A probe that is not made: NOT_ALLOWED has the `target` that it would reach, the others the `count` at hand."""

    datacenter: str
    probe: str
    reason: SkipReason
    target: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class HealthNotice:
    """A notice about the health checks for operators.

    `ignored` are verdicts that do not count, as they would take every datacenter out of service; `skipped` the probes
    that are not made.
    """

    ignored: Outages = field(default_factory=dict)
    skipped: tuple[SkippedProbe, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """All that is in force at one moment.

    `state` is what decides, None while there is no document. `source` is the last good document of the source,
    `override` the local one that goes before it. `overdue` is True once the source has been out of reach for longer
    than `--max-stale`, `disconnected_ns` since when it is (by the steady clock). `unhealthy` are the verdicts of health
    checks, `failovers` what routes that fail over with patience went through, also while there is no document.
    """

    state: State | None
    status: SourceStatus
    source: LoadedDocument | None = None
    override: Override | None = None
    overdue: bool = False
    health: HealthNotice | None = None
    unhealthy: Outages = field(default_factory=dict)
    failovers: Failovers = NONE
    disconnected_ns: int | None = None

    @property
    def overridden(self) -> bool:
        """True while a local document decides instead of the source's."""
        return self.override is not None and self.override.loaded is not None

    @property
    def loaded(self) -> LoadedDocument | None:
        """The document that decides, with its text."""
        return (self.override.loaded if self.override else None) or self.source

    @property
    def text(self) -> bytes:
        """The text of the document that decides, b"" while there is none."""
        return self.loaded.text if self.loaded else b""

    @property
    def ready(self) -> bool:
        """True while there is a document to decide by that is not older than the operator allows."""
        return self.state is not None and not self.overdue

    @property
    def applied_at_ns(self) -> int:
        """When the document in force was taken over, Unix nanoseconds."""
        override = self.override
        return override.since_ns if override is not None and override.loaded is not None else self.status.applied_at_ns


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment by two clocks, both Unix nanoseconds: the wall's, which may jump, and one that never does."""

    wall_ns: int
    steady_ns: int


@dataclass(frozen=True, slots=True)
class SnapshotRestored:
    """The snapshot on disk holds this document, taken over at `applied_at_ns`; the source has not confirmed it yet."""

    loaded: LoadedDocument
    applied_at_ns: int


@dataclass(frozen=True, slots=True)
class FailoversRestored:
    """The datacenters that work had left when the sidecar ended."""

    failover_states: FailoverStates


@dataclass(frozen=True, slots=True)
class SourceReported:
    """The source reported."""

    report: Report


@dataclass(frozen=True, slots=True)
class OverrideReported:
    """The file of `--override` was looked at."""

    url: str
    report: Report


@dataclass(frozen=True, slots=True)
class HealthJudged:
    """Health checks judge these datacenters down; `notice` is for operators."""

    unhealthy: Outages
    notice: HealthNotice | None = None


@dataclass(frozen=True, slots=True)
class DecisionsObserved:
    """Decisions showed this, in their order."""

    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class AdmissionChanged:
    """Documents are judged by other rules from now on: a refused one may be admitted."""


@dataclass(frozen=True, slots=True)
class ClockTicked:
    """Nothing happened but time."""


Event = (
    SnapshotRestored
    | FailoversRestored
    | SourceReported
    | OverrideReported
    | HealthJudged
    | DecisionsObserved
    | AdmissionChanged
    | ClockTicked
)
Checkpoint = Callable[[], None]
Parse = Callable[[bytes], RoutingDocument]
"""Returns the document that a text is. Raises DocumentRejected."""


def initial_view(now: Instant) -> View:
    """Return the view of a sidecar that knows nothing yet."""
    return View(state=None, status=SourceStatus(since_ns=now.wall_ns))
