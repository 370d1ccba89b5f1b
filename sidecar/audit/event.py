"""The events of a change as the audit keeps them: a kind, parameters, and the English text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class EventKind(Enum):
    """The kind of an event. OTHER is one that a newer version of the sidecar wrote, known by its text alone."""

    APPLIED = "applied"
    REFUSED = "refused"
    ACCEPTED = "accepted"  # the first valid document after a refused one
    MISSING = "missing"
    SWITCH = "switch"
    FAILOVER = "failover"
    RETURN = "return"
    RAMP_STEP = "ramp-step"
    DRILL_STARTED = "drill-started"
    DRILL_ENDED = "drill-ended"
    OVERRIDE_STARTED = "override-started"
    OVERRIDE_ENDED = "override-ended"
    RESCHEDULED = "rescheduled"
    LOST = "lost"
    REMOVED = "removed"
    BROKEN = "broken"
    OTHER = "other"


_KINDS = {kind.value: kind for kind in EventKind}

MOVES = frozenset({EventKind.SWITCH, EventKind.FAILOVER, EventKind.RETURN, EventKind.RAMP_STEP})
"""The events that send work elsewhere; their subjects are whose work."""

OVERRIDES = frozenset({EventKind.OVERRIDE_STARTED, EventKind.OVERRIDE_ENDED})
"""The start and the end of a local document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that a change means. `subjects` are applications, `app/job`, "default", or datacenters of a drill.

    `detail` has the parameters of its kind, as JSON carries them; None in a record that an older version wrote.
    `text` is for people: it is written once and shown as it is, never read by code. `before` and `after` are texts for
    moves, and number and digest of the last record for REMOVED.
    """

    kind: EventKind
    text: str
    detail: Mapping[str, Any] | None = None
    subjects: tuple[str, ...] = ()
    before: str = ""
    after: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the fields that every version reads; the detail is not among them."""
        fields = {"words": self.text, "subjects": self.subjects, "before": self.before, "after": self.after}
        return {"kind": self.kind.value, **{name: value for name, value in fields.items() if value}}


def event_of(plain: Mapping[str, Any], detail: Mapping[str, Any] | None) -> AuditEvent:
    """Return the event that `plain` made a mapping of. Raises KeyError, TypeError, ValueError for anything else."""
    kind = _KINDS.get(str(plain["kind"]), EventKind.OTHER)
    return AuditEvent(
        kind=kind,
        text=str(plain.get("words", "")),
        detail=None if kind is EventKind.OTHER else detail,
        subjects=tuple(plain.get("subjects", ())),
        before=str(plain.get("before", "")),
        after=str(plain.get("after", "")),
    )
