"""Times and durations as flags have them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sidecar.cli.inputs import KindParam
from sidecar.config.kinds import Kind
from sidecar.routing.scalars import SECOND_NS, parse_duration, parse_time

# The text itself is what the document will say.
DURATION = KindParam(
    Kind("DURATION", "a duration over 0 such as 30m or 1h30m", lambda text: text if parse_duration(text) else None)
)


@dataclass(frozen=True, slots=True)
class Start:
    """A time, Unix nanoseconds, or a number of nanoseconds from now."""

    at_ns: int
    relative: bool


def _start(text: str) -> Start | None:
    moment = parse_time(text)
    if moment is not None:
        return Start(moment, relative=False)
    delay = parse_duration(text)
    return Start(delay, relative=True) if delay else None


START = KindParam(Kind("TIME", "a time with an offset such as 2026-11-22T10:00:00Z, or a duration from now", _start))


def start_ns(start: Start | None, now_ns: int) -> int:
    """Return when something starts, in whole seconds, as Unix nanoseconds; now where nothing is said."""
    if start is None:
        return now_ns // SECOND_NS * SECOND_NS
    return (now_ns + start.at_ns) // SECOND_NS * SECOND_NS if start.relative else start.at_ns


def _since(text: str) -> int | None:
    duration = parse_duration(text)
    return time.time_ns() - duration if duration else parse_time(text)


SINCE = KindParam(Kind("TIME", "a time such as 2026-11-22T10:00:00Z, or how long ago, such as 24h", _since))
