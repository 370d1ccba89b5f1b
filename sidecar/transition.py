"""The pure function that makes the next view from the one in force, an event and the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import RejectedDocument, SourceEvent, SourceState, SourceStatus, next_state
from sidecar.routing.document import revision_of
from sidecar.routing.failover import Observation, advance, apply, failovers, revise
from sidecar.routing.state import State
from sidecar.sources.base import Content, Missing, Report, Unreachable
from sidecar.trust.admission import Admission
from sidecar.view import (
    AdmissionChanged,
    Checkpoint,
    ClockTicked,
    DecisionsObserved,
    Event,
    FailoversRestored,
    HealthJudged,
    Instant,
    LoadedDocument,
    Override,
    OverrideProblem,
    OverrideProblemKind,
    OverrideReported,
    Parse,
    SnapshotRestored,
    SourceReported,
    View,
)


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
    """Return the view with an event applied, before its State is decided."""
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
