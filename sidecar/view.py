"""What is in force as one frozen value, and the pure function that makes the next one from an event and the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import assert_never

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import RejectedDocument, SourceEvent, SourceState, SourceStatus, next_state
from sidecar.routing.document import revision_of
from sidecar.routing.failover import NONE, Failovers, FailoverStates, Observation, advance, apply, failovers, revise
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.state import State
from sidecar.sources.base import Content, Missing, Report, Unreachable
from sidecar.trust.admission import Admission


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A text and the valid document that it is."""

    text: bytes
    document: RoutingDocument


class OverrideProblemKind(Enum):
    """What is wrong with the file of `--override`."""

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
    """What operators must know of the health checks.

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


def next_view(
    view: View,
    event: Event,
    now: Instant,
    *,
    parse: Parse,
    max_stale_ns: int | None = None,
    checkpoint: Checkpoint = lambda: None,
    admission: Admission | None = None,
    parse_override: Parse | None = None,
) -> View:
    """Return the view after an event, with the State that follows from it and from the time.

    Equal to `view` where nothing changed; a State that still holds stays the same object. `parse` is called for a text
    that is not known yet, `parse_override` (None: the same) for one of the override. `max_stale_ns` is how long the
    source may be out of reach before the view is not ready. `checkpoint` is called often during long work. `admission`
    judges the documents of the source.
    Raises nothing but what `parse` raises beside DocumentRejected.
    """
    rules = _Rules(parse, parse_override or parse, admission)
    return _decided(_after(view, event, now, rules, checkpoint), now, max_stale_ns, checkpoint)


@dataclass(frozen=True, slots=True)
class _Rules:
    parse: Parse
    parse_override: Parse
    admission: Admission | None

    def load(self, text: bytes, current: LoadedDocument | None, now: Instant) -> LoadedDocument:
        """Return a text of the source, loaded. Raises DocumentRejected."""
        if self.admission is not None:
            self.admission.check_text(text, current.text if current else None, now.wall_ns)
        document = self.parse(text)
        if self.admission is not None:
            self.admission.check_change(text, document, current.document if current else None, now.wall_ns)
        return LoadedDocument(text, document)


def _after(view: View, event: Event, now: Instant, rules: _Rules, checkpoint: Checkpoint) -> View:
    """Return the view with what an event says, not decided yet."""
    match event:
        case SourceReported(report):
            return _reported(view, report, now, rules)
        case OverrideReported(url, report):
            return replace(view, override=_overridden(view, url, report, now, rules.parse_override))
        case HealthJudged(unhealthy, notice):
            return replace(view, unhealthy=unhealthy, health=notice)
        case DecisionsObserved(observations):
            return _observed(view, observations, now, checkpoint)
        case SnapshotRestored(loaded, applied_at_ns):
            status = SourceStatus(
                state=SourceState.DISCONNECTED,
                since_ns=now.wall_ns,
                applied_at_ns=applied_at_ns,
                from_snapshot=True,
            )
            return replace(view, source=loaded, status=status, disconnected_ns=now.steady_ns)
        case FailoversRestored(failover_states):
            restored = failovers(failover_states)
            if view.loaded is not None:
                restored = revise(restored, view.loaded.document, now.steady_ns, checkpoint)
            return replace(view, failovers=restored)
        case AdmissionChanged():
            return _judged_again(view, now, rules)
        case ClockTicked():
            return view
        case _:
            assert_never(event)


def _observed(view: View, observations: tuple[Observation, ...], now: Instant, checkpoint: Checkpoint) -> View:
    if view.loaded is None:
        return view
    after = apply(view.failovers, observations, view.loaded.document, now.steady_ns, checkpoint)
    return view if after is view.failovers else replace(view, failovers=after)


def _decided(view: View, now: Instant, max_stale_ns: int | None, checkpoint: Checkpoint) -> View:
    """Return the view as it decides now: with another State where the one before does not hold any more."""
    if view.loaded is None:
        return view
    document, state = view.loaded.document, view.state
    stale = view.status.stale and not view.overridden
    if state is None or state.document is not document:
        current = revise(view.failovers, document, now.steady_ns, checkpoint)
    else:
        current = advance(view.failovers, document, now.steady_ns, checkpoint)
    if (
        state is None
        or state.document is not document
        or state.stale is not stale
        or state.unhealthy != view.unhealthy
        or state.failover_states is not current.states
        or not state.holds(now.wall_ns)
    ):
        state = State(
            document,
            state.generation + 1 if state else 1,
            now.wall_ns,
            stale=stale,
            unhealthy=view.unhealthy,
            failover_states=current.states,
            failed_over=current.failed_over,
        )
    late = (
        max_stale_ns is not None
        and view.disconnected_ns is not None
        and now.steady_ns - view.disconnected_ns > max_stale_ns
    )
    return replace(view, state=state, overdue=stale and late, failovers=current)


def _overridden(view: View, url: str, report: Report, now: Instant, parse: Parse) -> Override | None:
    """Return the override after a report on its file: only a file that is missing ends it."""
    known = view.override or Override(url)
    match report:
        case Unreachable(reason):
            return replace(known, problem=OverrideProblem(OverrideProblemKind.UNREADABLE, reason))
        case Missing() if known.loaded is not None and view.source is None:
            # No document would be left to decide by.
            return replace(known, problem=OverrideProblem(OverrideProblemKind.NEEDED))
        case Missing():
            return None
        case Content(text) if known.loaded is not None and text == known.loaded.text:
            return replace(known, problem=None)
        case Content(text):
            try:
                loaded = LoadedDocument(text, parse(text))
            except DocumentRejected as error:
                return replace(known, problem=OverrideProblem(OverrideProblemKind.REFUSED, error.summary))
            return Override(url, loaded, known.since_ns or now.wall_ns)


def _judged_again(view: View, now: Instant, rules: _Rules) -> View:
    """Return the view with the refused text judged again: now, or once the source can be asked."""
    refusal = view.status.refusal
    if refusal is not None and view.status.state is SourceState.REJECTED:
        return _read(replace(view, status=replace(view.status, refusal=None)), refusal.text, now, rules)
    forgotten = replace(refusal, text=b"") if refusal else None
    return replace(view, status=replace(view.status, refusal=forgotten))


def _reported(view: View, report: Report, now: Instant, rules: _Rules) -> View:
    """Return the view after a report of the source."""
    match report:
        case Unreachable(reason):
            return _moved(view, SourceEvent.LOST, now, error=reason)
        case Missing(reason):
            status = replace(view.status, refusal=None, gray=None, gray_since_ns=0)
            return _moved(replace(view, status=status), SourceEvent.ABSENT, now, error=reason)
        case Content(text, version, gray):
            since_ns = (view.status.gray_since_ns or now.wall_ns) if gray else 0
            status = replace(view.status, version=version, gray=gray, gray_since_ns=since_ns)
            return _read(replace(view, status=status), text, now, rules)


def _read(view: View, text: bytes, now: Instant, rules: _Rules) -> View:
    refusal = view.status.refusal
    if refusal is not None and refusal.text == text:
        return _moved(view, SourceEvent.REFUSED, now, error=refusal.error.summary)
    confirmed = replace(view.status, refusal=None, from_snapshot=False, confirmed_at_ns=now.wall_ns)
    if view.source is not None and view.source.text == text:
        return _moved(replace(view, status=confirmed), SourceEvent.ACCEPTED, now)
    try:
        loaded = rules.load(text, view.source, now)
    except DocumentRejected as error:
        # The frames of its traceback hold what was read of the text.
        error = DocumentRejected(error.problems)
        refusal = RejectedDocument(revision=revision_of(text), error=error, at_ns=now.wall_ns, text=text)
        refused = replace(view, status=replace(view.status, refusal=refusal))
        return _moved(refused, SourceEvent.REFUSED, now, error=error.summary)
    accepted = replace(view, status=replace(confirmed, applied_at_ns=now.wall_ns), source=loaded)
    return _moved(accepted, SourceEvent.ACCEPTED, now)


def _moved(view: View, event: SourceEvent, now: Instant, *, error: str = "") -> View:
    """Return the view after an event of the source, with its next state."""
    status = view.status
    state = next_state(status.state, event)
    since_ns = status.since_ns if state is status.state else now.wall_ns
    disconnected_ns = None
    if state is SourceState.DISCONNECTED:
        disconnected_ns = now.steady_ns if view.disconnected_ns is None else view.disconnected_ns
    status = replace(status, state=state, error=error, since_ns=since_ns)
    return replace(view, status=status, disconnected_ns=disconnected_ns)
