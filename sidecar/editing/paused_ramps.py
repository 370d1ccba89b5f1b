"""Paused ramps: `meta.paused` keeps the ramp, while a split keeps its current weights in force.

`paused` has `default` and `apps` as the document itself; each entry is the ramp without its start.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.editing.tree import Top, insert, mapping_in, prune
from sidecar.routing.scalars import parse_duration, parse_integer
from sidecar.yaml_reader import Tree

_PATH = ("meta", "paused")


@dataclass(frozen=True, slots=True)
class PausedRamp:
    """A paused ramp; `duration` is the text of `duration_ns`."""

    source: str
    target: str
    duration: str
    duration_ns: int
    steps: int


def note(top: Top, app: str | None, entry: dict[str, Tree]) -> None:
    """Note a paused ramp."""
    if "meta" not in top:
        insert(top, "meta", {})
    paused = mapping_in(mapping_in(top, "meta", make=True), "paused", make=True)
    if app is None:
        paused["default"] = entry
    else:
        mapping_in(paused, "apps", make=True)[app] = entry


def noted(top: Top, app: str | None) -> PausedRamp | None:
    """Return the noted ramp; None where there is none, or its note is not complete."""
    paused = mapping_in(mapping_in(top, "meta"), "paused")
    entry = paused.get("default") if app is None else mapping_in(paused, "apps").get(app)
    if not isinstance(entry, dict):
        return None
    source, target, duration, steps = (entry.get(key) for key in ("from", "to", "duration", "steps"))
    if not (isinstance(source, str) and isinstance(target, str) and isinstance(duration, str)):
        return None
    duration_ns, count = parse_duration(duration), parse_integer(str(steps))
    return PausedRamp(source, target, duration, duration_ns, count) if duration_ns and count else None


def forget(top: Top, app: str | None) -> None:
    """Remove the note of a ramp, if there is one."""
    paused = mapping_in(mapping_in(top, "meta"), "paused")
    if app is None:
        if paused.pop("default", None) is not None:
            prune(top, *_PATH)
    elif mapping_in(paused, "apps").pop(app, None) is not None:
        prune(top, *_PATH, "apps")
