"""Logs each change of the view as one readable line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from sidecar.gil import Yielder
from sidecar.lifecycle import SourceState
from sidecar.routing.changes import changes
from sidecar.routing.scalars import format_time
from sidecar.routing.wording import change_text
from sidecar.view import View
from sidecar.wording import gray_text, health_text, override_text, source_text

log = logging.getLogger(__name__)

# How many changes of routes one line has.
_MAX_CHANGES = 5


def log_change(before: View, after: View) -> None:
    """Log the differences between two views; a listener of the table."""
    if after.override != before.override:
        _log_override(before, after)
    if after.state is not before.state and after.state is not None:
        _log_routes(before, after)
    if (after.status.state, after.status.error) != (before.status.state, before.status.error):
        _log_source(before, after)
    fields = _fields(after)
    if after.status.gray != before.status.gray:
        _log_gray(after)
    if after.overdue and not before.overdue:
        log.error(
            "not ready any more: the config center has been out of reach for longer than --max-stale", extra=fields
        )
    if before.overdue and not after.overdue:
        log.info("ready again", extra=fields)
    if after.health != before.health:
        if after.health is not None:
            log.error("%s", health_text(after.health), extra=fields)
        else:
            log.info("health checks recovered", extra=fields)


def _fields(view: View) -> dict[str, object]:
    """Return the fields of each line: which document decides, and the generation of the state."""
    state = view.state
    return {"revision": state.document.revision, "generation": state.generation} if state else {}


def _log_override(before: View, after: View) -> None:
    text = override_text(after.override) if after.override else ""
    if text:
        log.error("%s", text, extra=_fields(after))
    elif not after.overridden and before.overridden and before.override is not None:
        log.warning(
            "the override %s is gone; the config center's document decides again",
            before.override.url,
            extra=_fields(after),
        )


def _log_gray(after: View) -> None:
    if after.status.gray is not None:
        log.warning("%s until it is ended in the config center", gray_text(after.status), extra=_fields(after))
    else:
        log.info("the gray version ended", extra=_fields(after))


def _log_routes(before: View, after: View) -> None:
    state = after.state
    if state is None:
        return
    found = changes(before.state, state, Yielder())
    new = before.state is None or before.state.document.revision != state.document.revision
    if not found and not new:
        return
    text = "; ".join(map(change_text, found[:_MAX_CHANGES]))
    more = f"; and {len(found) - _MAX_CHANGES} more changes" if len(found) > _MAX_CHANGES else ""
    meta = state.document.meta
    fields = _fields(after)
    fields |= {key: meta[key] for key in ("by", "reason", "ticket") if new and isinstance(meta.get(key), str)}
    if before.state is None:
        origin = f", the snapshot of {format_time(after.status.applied_at_ns)}" if after.status.from_snapshot else ""
        log.info("first document%s: %s%s", origin, text, more, extra=fields)
    else:
        log.info("%s%s", text or "a new document, same routes", more, extra=fields)


def _log_source(before: View, after: View) -> None:
    state, error = after.status.state, source_text(after.status)
    fields = _fields(after)
    decides = f"revision {after.state.document.revision}" if after.state else "nothing"
    match state:
        case SourceState.SYNCED:
            if before.status.state is not SourceState.CONNECTING:
                log.info("the newest document is in force again", extra={**fields, "was": before.status.state.name})
        case SourceState.CONNECTING:
            log.warning("the config center cannot be reached, and there is no document yet: %s", error, extra=fields)
        case SourceState.DISCONNECTED:
            log.warning("the config center cannot be reached; %s decides: %s", decides, error, extra=fields)
        case SourceState.REJECTED:
            log.warning("the new document is refused; %s decides: %s", decides, error, extra=fields)
        case SourceState.MISSING:
            log.warning("there is no routing document; %s decides: %s", decides, error, extra=fields)


def log_signers(signers_of: Callable[[bytes], Iterable[str]], before: View, after: View) -> None:
    """Log who signed a new document; to be subscribed to the table."""
    if after.source is not None and after.source is not before.source and not after.status.from_snapshot:
        names = ", ".join(signers_of(after.source.text))
        log.info("revision %s is signed by %s", after.source.document.revision, names)
