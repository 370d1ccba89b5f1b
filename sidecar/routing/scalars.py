"""Numbers, times and durations as the routing document writes them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

SECOND_NS = 1_000_000_000

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:[Zz]|([-+])([0-9]{2}):([0-9]{2}))"
)
_UNITS = {"d": 86_400 * SECOND_NS, "h": 3_600 * SECOND_NS, "m": 60 * SECOND_NS, "s": SECOND_NS, "ms": SECOND_NS // 1000}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?){unit})?" for unit in _UNITS))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_number(text: str) -> float | None:
    """Return a finite decimal number of at most 64 characters, or None for any other text."""
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_integer(text: str) -> int | None:
    """Return a decimal integer of at most 18 digits, or None for any other text."""
    return int(text) if _INTEGER.fullmatch(text) else None


def parse_time(text: str) -> int | None:
    """Return an RFC 3339 time with an offset as Unix nanoseconds, or None for any other text and days that are none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    offset = timedelta(0)
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            return None
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes)) * (-1 if sign == "-" else 1)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    nanoseconds = int(fraction[:9].ljust(9, "0")) if fraction else 0
    return (moment - _EPOCH) // timedelta(seconds=1) * SECOND_NS + nanoseconds


def parse_duration(text: str) -> int | None:
    """Return a duration such as `1h30m` or `500ms` in nanoseconds, or None for any other text."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return sum(_scaled(number, unit) for number, unit in zip(match.groups(), _UNITS.values(), strict=True) if number)


def format_time(moment_ns: int) -> str:
    """Return Unix nanoseconds as an RFC 3339 time in UTC, to the millisecond where there are any."""
    try:
        moment = _EPOCH + timedelta(milliseconds=moment_ns // 1_000_000)
    except OverflowError:
        return "after the year 9999" if moment_ns > 0 else "before the year 1"
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def format_duration(duration_ns: int) -> str:
    """Return nanoseconds as the document writes durations, as in `1h30m`; below a millisecond `0ms`."""
    parts = []
    rest = duration_ns
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0ms"


def _scaled(number: str, unit_ns: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole) * unit_ns + (int(fraction) * unit_ns // 10 ** len(fraction) if fraction else 0)
