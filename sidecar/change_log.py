"""Tells each change of what is in force as one readable line of the log."""

from __future__ import annotations

import logging

from sidecar.gil import Yielder
from sidecar.lifecycle import SourceState
from sidecar.routing.changes import changes
from sidecar.routing.scalars import format_time
from sidecar.table import View

log = logging.getLogger(__name__)

# How many changes of routes one line tells.
_TOLD = 5


def log_change(before: View, after: View) -> None:
    """Log what became different between two views; to be subscribed to the table."""
    if after.override != before.override:
        _tell_override(before, after)
    if after.state is not before.state and after.state is not None:
        _tell_routes(before, after)
    if (after.status.state, after.status.error) != (before.status.state, before.status.error):
        _tell_source(before, after)
    fields = _fields(after)
    if after.overdue and not before.overdue:
        words = "not ready any more: the config center has been out of reach for longer than --max-stale"
        log.error(words, extra=fields)
    if before.overdue and not after.overdue:
        log.info("ready again", extra=fields)
    if after.health != before.health:
        if after.health:
            log.error("%s", after.health, extra=fields)
        else:
            log.info("health checks: all is as it should be", extra=fields)


def _fields(view: View) -> dict[str, object]:
    """Return what each line carries: which document decides, and how often what decides has changed."""
    state = view.state
    return {"revision": state.document.revision, "generation": state.generation} if state else {}


def _tell_override(before: View, after: View) -> None:
    if after.override is not None and after.override.words:
        log.error("%s", after.override.words, extra=_fields(after))
    elif not after.overridden and before.overridden and before.override is not None:
        words = "the override %s is gone; the config center's document decides again"
        log.warning(words, before.override.url, extra=_fields(after))


def _tell_routes(before: View, after: View) -> None:
    state = after.state
    if state is None:
        return
    found = changes(before.state, state, Yielder())
    new = before.state is None or before.state.document.revision != state.document.revision
    if not found and not new:
        return
    told = "; ".join(map(str, found[:_TOLD]))
    more = f"; and {len(found) - _TOLD} more changes" if len(found) > _TOLD else ""
    meta = state.document.meta
    fields = _fields(after)
    fields |= {key: meta[key] for key in ("by", "reason", "ticket") if new and isinstance(meta.get(key), str)}
    if before.state is None:
        origin = f", the snapshot of {format_time(after.status.applied_at_ns)}" if after.status.from_snapshot else ""
        log.info("first document%s: %s%s", origin, told, more, extra=fields)
    else:
        log.info("%s%s", told or "a new document, same routes", more, extra=fields)


def _tell_source(before: View, after: View) -> None:
    status = after.status
    fields = _fields(after)
    decides = f"revision {after.state.document.revision}" if after.state else "nothing"
    match status.state:
        case SourceState.SYNCED:
            if before.status.state is not SourceState.CONNECTING:
                log.info("the newest document is in force again", extra={**fields, "was": before.status.state.name})
        case SourceState.CONNECTING:
            log.warning(
                "the config center cannot be reached, and there is no document yet: %s", status.error, extra=fields
            )
        case SourceState.DISCONNECTED:
            log.warning("the config center cannot be reached; %s decides: %s", decides, status.error, extra=fields)
        case SourceState.REJECTED:
            log.warning("the new document is refused; %s decides: %s", decides, status.error, extra=fields)
        case SourceState.MISSING:
            log.warning("there is no routing document; %s decides: %s", decides, status.error, extra=fields)
