"""One change as the audit keeps it: a plain value that is written, shown, sent, and compared across sidecars."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import zip_longest
from typing import Any

from sidecar.audit.diff import diff_lines
from sidecar.audit.event import MOVES, OVERRIDES, AuditEvent, EventKind, event_of
from sidecar.audit.traffic_moves import moves
from sidecar.audit.wording import accepted_text, applied_text, drill_text, move_text
from sidecar.lifecycle import SourceState
from sidecar.routing.changes import changes
from sidecar.routing.document import revision_of
from sidecar.routing.model import Drill
from sidecar.routing.plain import change_plain, filled, outage_plain, shares_plain, time_plain
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State
from sidecar.routing.wording import change_text, outage_text, shares_text
from sidecar.view import View
from sidecar.wording import source_text
from sidecar.yaml_reader import Checkpoint

# Of a text that is refused, which may be anything, so much is kept.
_REFUSED_BYTES = 64 * 1024
_MAX_CHANGES = 20


class RecordCause(Enum):
    """The cause of a change; it decides how the same change is recognised on another sidecar."""

    DOCUMENT = "document"
    CLOCK = "clock"
    HEALTH = "health"
    OVERRIDE = "override"
    # What a reaction did about an earlier change.
    REACTION = "reaction"
    # The audit's own: records that were lost, or removed to make room.
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One change.

    `at_ns` is when it took effect here (Unix nanoseconds), `revision` what decides since, `before` what did.
    `changed` is the revision of the text that came, which a refused one has too. `text` is the document, `difference`
    what it changes; both are empty where no document came. `version` is the source's own name for the text, `origin`
    the author by the config center's history (user, address).

    `out` are the datacenters that are out of service since, `changes` what the document changes, both as texts;
    `outages` and `route_changes` are the same as kinds and parameters, empty in a record of an older version.
    """

    at_ns: int
    source: str
    cause: RecordCause
    events: tuple[AuditEvent, ...]
    revision: str = ""
    before: str = ""
    changed: str = ""
    version: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    out: Mapping[str, str] = field(default_factory=dict)
    outages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    route_changes: tuple[Mapping[str, Any], ...] = ()
    difference: tuple[str, ...] = ()
    text: str = ""
    due_ns: int | None = None

    @property
    def apps(self) -> frozenset[str]:
        """The applications that it moves; "default" stands for all that have no route of their own."""
        return frozenset(
            subject.partition("/")[0]
            for event in self.events
            if event.kind in MOVES or event.kind is EventKind.RESCHEDULED
            for subject in event.subjects
        )

    @property
    def key(self) -> str:
        """The same text for the same change on every sidecar; several changes may share it, at other times.

        Made of kinds and parameters; of texts only where an older version wrote the record, by the rule of that version
        (docs/decisions/0103-values-not-sentences.md says what that means for a mixed fleet).
        """
        match self.cause:
            case RecordCause.DOCUMENT:
                return f"document {self.events[0].kind.value} {self.changed}"
            case RecordCause.CLOCK:
                return f"clock {self.revision} {self.due_ns}"
            case _:
                return f"{self.cause.value} {self.revision} {revision_of(_identity(self.events).encode())}"

    def plain(self) -> dict[str, Any]:
        """Return the record as JSON carries it and the journal keeps it; empty values are left out.

        The events' parameters are in a list of their own, `details`: an older version that reads the record leaves it
        out, where it would not know what to do with another field of an event.
        """
        found = self._plain([event.plain() for event in self.events])
        if any(event.detail is not None for event in self.events):
            found["details"] = [event.detail for event in self.events]
        return found

    def outline(self) -> dict[str, Any]:
        """Return it as JSON shows it: each event with its `detail`, and without the text of the document."""
        return replace(self, text="").shown()

    def shown(self) -> dict[str, Any]:
        """Return it as JSON shows it: each event with its `detail`."""
        return self._plain(
            [event.plain() | ({} if event.detail is None else {"detail": event.detail}) for event in self.events]
        )

    def _plain(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields |= {"events": events, "cause": self.cause.value, "at": format_time(self.at_ns)}
        return {name: value for name, value in fields.items() if value not in ("", (), {}, None)}


def _identity(events: Sequence[AuditEvent]) -> str:
    if any(event.detail is None for event in events):
        return "; ".join(f"{event.kind.value} {event.text}" for event in events)
    return json.dumps([[event.kind.value, event.detail] for event in events], sort_keys=True)


def record_of(plain: Mapping[str, Any]) -> Record:
    """Return the record that `plain` was made from. Raises KeyError, TypeError, ValueError for anything else."""
    known: dict[str, Any] = {name: value for name, value in plain.items() if name in Record.__dataclass_fields__}
    details = plain.get("details", ())
    events = tuple(event_of(event, detail) for event, detail in zip_longest(known.pop("events"), details))
    known |= {name: tuple(known.get(name, ())) for name in ("changes", "route_changes", "difference")}
    known["cause"] = RecordCause(known["cause"])
    # Records of the audit itself have none.
    known.setdefault("source", "")
    return Record(events=events, **known)


def records(
    before: View, after: View, at_ns: int, source: str, *, checkpoint: Checkpoint = lambda: None
) -> Iterator[Record]:
    """Yield the records of a change of view: first that of the source's text, then that of the decision."""
    old, new = before.status.refusal, after.status.refusal
    serving = after.state.document.revision if after.state else ""
    base = Record(at_ns=at_ns, source=source, cause=RecordCause.DOCUMENT, events=(), revision=serving, before=serving)
    if new is not None and (old is None or old.text != new.text):
        refused = AuditEvent(kind=EventKind.REFUSED, text=str(new.error), detail={"error": str(new.error)})
        text = new.text[:_REFUSED_BYTES].decode("utf-8", "replace")
        yield replace(base, events=(refused,), changed=new.revision, version=after.status.version, text=text)
    if after.status.state is SourceState.MISSING is not before.status.state:
        missing = source_text(after.status)
        yield replace(base, events=(AuditEvent(kind=EventKind.MISSING, text=missing, detail={"error": missing}),))
    accepted = _accepted(before, after)
    if after.state is not None and after.state is not before.state:
        for record in _decided(before, after, base, checkpoint):
            if accepted and record.cause is RecordCause.DOCUMENT:
                yield replace(record, events=(*record.events, *accepted))
                accepted = ()
            else:
                yield record
    if accepted:
        # The text that came is the one in force, as before the refusal.
        yield replace(base, events=accepted, changed=serving, version=after.status.version)


def _accepted(before: View, after: View) -> tuple[AuditEvent, ...]:
    """Return the all-clear where a refused text has given way to a valid one."""
    refused = before.status.refusal
    if refused is None or after.status.refusal is not None or after.status.state is not SourceState.SYNCED:
        return ()
    detail = {"refused": refused.revision}
    return (AuditEvent(kind=EventKind.ACCEPTED, text=accepted_text(refused.revision), detail=detail),)


def _decided(before: View, after: View, base: Record, checkpoint: Checkpoint) -> Iterator[Record]:
    was, now = before.state, after.state
    assert now is not None
    new = was is None or was.document.revision != now.document.revision
    events = [*_overrides(before, after), *_drills(was, now), *_moves(was, now, checkpoint)]
    found = changes(was, now, checkpoint)[:_MAX_CHANGES] if new else []
    if new:
        events.insert(0, AuditEvent(kind=EventKind.APPLIED, text=applied_text(found), detail={}))
    if not events:
        return
    text = after.text.decode("utf-8", "replace")
    yield replace(
        base,
        cause=_cause(was, now, events),
        events=tuple(events),
        before=was.document.revision if was else "",
        changed=now.document.revision if new else "",
        version=after.status.version if new and not after.overridden else "",
        meta=now.document.meta if new else {},
        out={name: outage_text(outage) for name, outage in now.out.items()},
        outages={name: outage_plain(outage) for name, outage in now.out.items()},
        changes=tuple(map(change_text, found)),
        route_changes=tuple(map(change_plain, found)),
        difference=tuple(diff_lines(before.text.decode("utf-8", "replace"), text)) if new and was else (),
        text=text if new else "",
        due_ns=now.since_ns,
    )


def _cause(was: State | None, now: State, events: Sequence[AuditEvent]) -> RecordCause:
    if any(event.kind in OVERRIDES for event in events):
        return RecordCause.OVERRIDE
    if was is None or was.document.revision != now.document.revision:
        return RecordCause.DOCUMENT
    return RecordCause.CLOCK if was.unhealthy == now.unhealthy and was.since_ns != now.since_ns else RecordCause.HEALTH


def _moves(was: State | None, now: State, checkpoint: Checkpoint) -> Iterator[AuditEvent]:
    for move in moves(was, now, checkpoint) if was else ():
        before, after = map(shares_plain, (move.before, move.after))
        yield AuditEvent(
            kind=move.kind,
            text=move_text(move.before, move.after),
            detail={"before": before, "after": after},
            subjects=move.subjects,
            before=shares_text(move.before),
            after=shares_text(move.after),
        )


def _overrides(before: View, after: View) -> Iterator[AuditEvent]:
    for kind, there, not_there in (
        (EventKind.OVERRIDE_STARTED, after, before),
        (EventKind.OVERRIDE_ENDED, before, after),
    ):
        if there.overridden and not not_there.overridden and there.override is not None:
            yield AuditEvent(kind=kind, text=there.override.url, detail={"url": there.override.url})


def _drills(was: State | None, now: State) -> Iterator[AuditEvent]:
    old, new = (_on(state) for state in (was, now))
    for key, drill in new.items():
        if key not in old:
            yield _drill_event(EventKind.DRILL_STARTED, drill)
    for key, drill in old.items():
        if key not in new:
            yield _drill_event(EventKind.DRILL_ENDED, drill)


def _on(state: State | None) -> dict[tuple[str, frozenset[str] | None], Drill]:
    """Return the drills that are on; one whose end or reason was edited is still the same."""
    drills = [drill for drill in state.document.drills if drill.active(state.now_ns)] if state else []
    return {(drill.datacenter, drill.apps): drill for drill in drills}


def _drill_event(kind: EventKind, drill: Drill) -> AuditEvent:
    apps = sorted(drill.apps or ())
    until = time_plain(drill.until_ns)
    detail = filled({"datacenter": drill.datacenter, "until": until, "apps": apps, "reason": drill.reason})
    return AuditEvent(kind=kind, text=drill_text(drill), detail=detail, subjects=(drill.datacenter,))
