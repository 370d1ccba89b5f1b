"""Numbers, times and durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.routing.scalars import (
    SECOND_NS,
    format_duration,
    format_time,
    parse_duration,
    parse_integer,
    parse_number,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1", -1.0), ("+2", 2.0), ("007", 7.0)],
)
def test_numbers_are_decimal(text: str, number: float) -> None:
    """A decimal number, with or without a fraction and an exponent."""
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1_000", "0x10", ".inf", "nan", "inf", "1e400", "50%", "\u0661", ".", "e3", "1" * 65]
)
def test_other_texts_are_no_numbers(text: str) -> None:
    """Nothing that only some readers take for a number, and nothing infinite."""
    assert parse_number(text) is None


def test_integers_are_short_and_whole() -> None:
    """Digits and a sign, 18 digits at most."""
    assert parse_integer("10") == 10
    assert parse_integer("-3") == -3
    assert parse_integer("9" * 18) == 10**18 - 1
    assert [parse_integer(text) for text in ("9" * 19, "1.0", "1e3", "", "x", "²")] == [None] * 6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01T08:00:00+08:00", 0),
        ("1969-12-31T23:59:59Z", -1),
        ("1970-01-01T00:00:00-00:30", 1800),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140),
    ],
)
def test_times_have_an_offset(text: str, seconds: int) -> None:
    """RFC 3339, as Unix time, whatever the offset; also before 1970."""
    assert parse_time(text) == seconds * SECOND_NS


def test_times_are_exact_to_the_nanosecond() -> None:
    """What is finer is cut off."""
    assert parse_time("1970-01-01T00:00:00.5Z") == 500_000_000
    assert parse_time("1969-12-31T23:59:59.999999999Z") == -1
    assert parse_time("1970-01-01T00:00:00.1234567899Z") == 123_456_789


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22 10:00:00Z", "2026-11-22T10:00Z"),
        *("2026-02-30T10:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:60Z", "0000-01-01T00:00:00Z"),
        *(
            "2026-11-22T10:00:00+24:00",
            "2026-11-22T10:00:00+08:60",
            "2026-11-22T10:00:00+0800",
            "2026-11-22T10:00:00.Z",
        ),
        "2026-11-22T10:00:00Z\n",
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    """No time without an offset, and none that does not exist."""
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("90s", 90_000),
        ("2h", 7_200_000),
        ("1h30m", 5_400_000),
        ("500ms", 500),
        ("1d2h3m4s5ms", 93_784_005),
        ("1.5h", 5_400_000),
        ("0.5ms", 0.5),
        ("0s", 0),
        ("1m1ms", 60_001),
    ],
)
def test_durations_have_units(text: str, milliseconds: float) -> None:
    """Numbers with units, the largest first."""
    assert parse_duration(text) == milliseconds * 1_000_000


@pytest.mark.parametrize("text", ["", "120", "h", "1h 30m", "30m1h", "1h1h", "-1h", "1w", "1H", "1e3s", ".5h", "1.h"])
def test_other_texts_are_no_durations(text: str) -> None:
    """No number without a unit, no unit twice or out of order."""
    assert parse_duration(text) is None


@given(st.integers(0, 10**15))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    """What is written in milliseconds or more reads as the same duration."""
    assert parse_duration(format_duration(milliseconds * 1_000_000)) == milliseconds * 1_000_000


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_written_as_they_are_read(milliseconds: int) -> None:
    """From the year 1 to the year 9999, to the millisecond."""
    assert parse_time(format_time(milliseconds * 1_000_000)) == milliseconds * 1_000_000


def test_times_out_of_reach_are_words() -> None:
    """A ramp may end after the last year that can be written."""
    assert format_time(10**30) == "after the year 9999"
    assert format_time(-(10**30)) == "before the year 1"
    assert format_duration(1) == "0ms"
