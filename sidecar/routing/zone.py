"""Times as people read them: with date and zone, in UTC unless a command chose its user's zone."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo

from sidecar.routing.scalars import SECOND_NS, format_time

# None is the zone of the machine. The daemon writes UTC: its texts travel.
_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=UTC)


def use_zone(zone: tzinfo | None) -> None:
    """Show times in a zone from now on, in this context; None is the machine's."""
    _zone.set(zone)


def show_time(moment_ns: int) -> str:
    """Return Unix nanoseconds to the second, as in `2026-11-22T10:00:00+08:00`, which options that take a time read."""
    zone = _zone.get()
    whole = moment_ns // SECOND_NS
    if zone is not UTC:
        try:
            return datetime.fromtimestamp(whole, UTC).astimezone(zone).isoformat().replace("+00:00", "Z")
        except (OverflowError, ValueError, OSError):
            pass
    return format_time(whole * SECOND_NS)
