"""English for the events of the audit: `history`, webhooks and the text fields of the API show it as it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.audit.event import MOVES, AuditEvent
from sidecar.routing.changes import RouteChange
from sidecar.routing.model import Drill
from sidecar.routing.scalars import format_time
from sidecar.routing.shares import Shares
from sidecar.routing.wording import change_text, named, shares_text

_CHANGES = 3


def applied_text(changes: Sequence[RouteChange]) -> str:
    """Return the changes of an applied document, in words."""
    return "; ".join(map(change_text, changes[:_CHANGES])) or "same routes"


def accepted_text(refused: str) -> str:
    """Return that the refusal of a text is over."""
    return f"a valid document has replaced the refused {refused}"


def move_text(before: Shares, after: Shares) -> str:
    """Return from where to where work goes."""
    return f"{shares_text(before)} → {shares_text(after)}"


def drill_text(drill: Drill) -> str:
    """Return which datacenter a drill takes out, for whom, until when and why."""
    apps = f" for {named(sorted(drill.apps))}" if drill.apps else ""
    reason = f": {drill.reason}" if drill.reason else ""
    return f"{drill.datacenter}{apps} until {format_time(drill.until_ns)}{reason}"


def loss_text(count: int) -> str:
    """Return how many records were lost, and why."""
    return f"{count} earlier records dropped: disk unwritable and buffer full"


def broken_text(found: int, expected: int, problems: Sequence[str]) -> str:
    """Describe a broken end of the chain; `found` is the number of its last record, `expected` that of the head."""
    missing = [f"{_numbers(found + 1, expected)} missing"] if found < expected else []
    return "; ".join([*missing, *problems])


def gone_text(gone: Sequence[tuple[int, int]]) -> str:
    """Return which records disappeared while the sidecar ran, by ranges of their numbers."""
    return f"{' and '.join(_numbers(*each) for each in gone)} removed while the sidecar ran"


def _numbers(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"records {first} to {last}"


def removal_text(number: int) -> str:
    """Return which records were removed to make room."""
    return f"records up to number {number}"


def publisher_text(origin: Mapping[str, str]) -> str:
    """Return who published a text by the config center's history; "" where that is not known."""
    user, address = origin.get("user", ""), origin.get("address", "")
    return f"{user} ({address})" if user and address else user or address


def event_text(event: AuditEvent, most: int) -> str:
    """Return an event with its subjects, `most` of them named, where it moves work."""
    return f"{named(event.subjects, most)}: {event.text}" if event.kind in MOVES else event.text
