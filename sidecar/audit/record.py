"""One change as the audit remembers it: a plain value that is written, shown, sent, and compared across sidecars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from sidecar.audit.diff import diff_lines
from sidecar.audit.traffic_moves import moves
from sidecar.lifecycle import SourceState
from sidecar.routing.changes import changes
from sidecar.routing.document import revision_of
from sidecar.routing.model import Drill
from sidecar.routing.scalars import format_time
from sidecar.routing.state import State
from sidecar.table import View
from sidecar.yaml_reader import Checkpoint

# Of a text that is refused, which may be anything, so much is kept.
_REFUSED_BYTES = 64 * 1024
_TOLD = 20

MOVES = frozenset({"switch", "failover", "return", "ramp-step"})
"""The kinds of events that send work elsewhere; their subjects are whose."""


class RecordCause(Enum):
    """What brought a change: it decides how the same change is known again on another sidecar."""

    DOCUMENT = "document"
    CLOCK = "clock"
    HEALTH = "health"
    OVERRIDE = "override"
    # What a reaction did about an earlier change.
    REACTION = "reaction"
    # The audit's own: records that were lost, or removed to make room.
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that a change means. `subjects` are applications, `app/job`, "default", or datacenters of a drill.

    Kinds: applied, refused, missing, switch, failover, return, ramp-step, drill-started, drill-ended, override-started,
    override-ended, rescheduled, lost, removed.
    """

    kind: str
    words: str
    subjects: tuple[str, ...] = ()
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One change.

    `at_ns` is when it took effect here (Unix nanoseconds), `revision` what decides since, `before` what did.
    `changed` is the revision of the text that came, which a refused one has too. `text` is the document, `difference`
    what it changes; both are empty where no document came. `version` is the source's own name for the text, `origin`
    what is known of the write from the config center's history (user, address). `out` says which datacenters are out of
    service since, and why.
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
    changes: tuple[str, ...] = ()
    difference: tuple[str, ...] = ()
    text: str = ""
    due_ns: int | None = None

    @property
    def apps(self) -> frozenset[str]:
        """The applications that it moves; "default" stands for all that have no route of their own."""
        return frozenset(
            subject.partition("/")[0]
            for event in self.events
            if event.kind in MOVES or event.kind == "rescheduled"
            for subject in event.subjects
        )

    @property
    def key(self) -> str:
        """What is the same for the same change on every sidecar; several changes may share it, at other times."""
        match self.cause:
            case RecordCause.DOCUMENT:
                return f"document {self.events[0].kind} {self.changed}"
            case RecordCause.CLOCK:
                return f"clock {self.revision} {self.due_ns}"
            case _:
                told = "; ".join(f"{event.kind} {event.words}" for event in self.events)
                return f"{self.cause.value} {self.revision} {revision_of(told.encode())}"

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON can say; what is empty is left out."""
        found: dict[str, Any] = {**asdict(self), "cause": self.cause.value, "at": format_time(self.at_ns)}
        found["events"] = [{name: value for name, value in asdict(event).items() if value} for event in self.events]
        return {name: value for name, value in found.items() if value not in ("", (), {}, None)}

    def outline(self) -> dict[str, Any]:
        """Return `plain` without the text of the document."""
        return replace(self, text="").plain()


def record_of(plain: Mapping[str, Any]) -> Record:
    """Return the record that `plain` was made from. Raises KeyError, TypeError, ValueError for anything else."""
    known: dict[str, Any] = {name: value for name, value in plain.items() if name in Record.__dataclass_fields__}
    events = tuple(
        AuditEvent(**dict(event, subjects=tuple(event.get("subjects", ())))) for event in known.pop("events")
    )
    known |= {name: tuple(known.get(name, ())) for name in ("changes", "difference")}
    known["cause"] = RecordCause(known["cause"])
    return Record(events=events, **known)


def records(
    before: View, after: View, at_ns: int, source: str, *, checkpoint: Checkpoint = lambda: None
) -> Iterator[Record]:
    """Yield what another view is worth remembering: what the source brought, then what decides since."""
    old, new = before.status.refusal, after.status.refusal
    serving = after.state.document.revision if after.state else ""
    base = Record(at_ns=at_ns, source=source, cause=RecordCause.DOCUMENT, events=(), revision=serving, before=serving)
    if new is not None and (old is None or old.text != new.text):
        refused = AuditEvent(kind="refused", words=str(new.error))
        text = new.text[:_REFUSED_BYTES].decode("utf-8", "replace")
        yield replace(base, events=(refused,), changed=new.revision, version=after.status.version, text=text)
    if after.status.state is SourceState.MISSING is not before.status.state:
        yield replace(base, events=(AuditEvent(kind="missing", words=after.status.error),))
    if after.state is not None and after.state is not before.state:
        yield from _decided(before, after, base, checkpoint)


def _decided(before: View, after: View, base: Record, checkpoint: Checkpoint) -> Iterator[Record]:
    was, now = before.state, after.state
    assert now is not None
    new = was is None or was.document.revision != now.document.revision
    events = [*_overrides(before, after), *_drills(was, now)]
    found = moves(was, now, checkpoint) if was else []
    events += [
        AuditEvent(
            kind=move.kind,
            words=f"{move.before} → {move.after}",
            subjects=move.subjects,
            before=move.before,
            after=move.after,
        )
        for move in found
    ]
    told = tuple(map(str, changes(was, now, checkpoint)[:_TOLD])) if new else ()
    if new:
        events.insert(0, AuditEvent(kind="applied", words="; ".join(told[:3]) or "same routes"))
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
        out=now.out,
        changes=told,
        difference=tuple(diff_lines(before.text.decode("utf-8", "replace"), text)) if new and was else (),
        text=text if new else "",
        due_ns=now.since_ns,
    )


def _cause(was: State | None, now: State, events: Sequence[AuditEvent]) -> RecordCause:
    if any(event.kind.startswith("override") for event in events):
        return RecordCause.OVERRIDE
    if was is None or was.document.revision != now.document.revision:
        return RecordCause.DOCUMENT
    return RecordCause.CLOCK if was.unhealthy == now.unhealthy and was.since_ns != now.since_ns else RecordCause.HEALTH


def _overrides(before: View, after: View) -> Iterator[AuditEvent]:
    for kind, there, not_there in (("override-started", after, before), ("override-ended", before, after)):
        if there.overridden and not not_there.overridden and there.override is not None:
            yield AuditEvent(kind=kind, words=there.override.url)


def _drills(was: State | None, now: State) -> Iterator[AuditEvent]:
    old, new = (_on(state) for state in (was, now))
    for key, drill in new.items():
        if key not in old:
            yield AuditEvent(kind="drill-started", words=_drill_words(drill), subjects=(drill.datacenter,))
    for key, drill in old.items():
        if key not in new:
            yield AuditEvent(kind="drill-ended", words=_drill_words(drill), subjects=(drill.datacenter,))


def _on(state: State | None) -> dict[tuple[str, frozenset[str] | None], Drill]:
    """Return the drills that are on; one whose end or reason was edited is still the same."""
    drills = [drill for drill in state.document.drills if drill.active(state.now_ns)] if state else []
    return {(drill.datacenter, drill.apps): drill for drill in drills}


def _drill_words(drill: Drill) -> str:
    whom = f" for {', '.join(sorted(drill.apps)[:3])}" if drill.apps else ""
    more = f" and {len(drill.apps) - 3:,} more" if drill.apps and len(drill.apps) > 3 else ""
    why = f": {drill.reason}" if drill.reason else ""
    return f"{drill.datacenter}{whom}{more} until {format_time(drill.until_ns)}{why}"
