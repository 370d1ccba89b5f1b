"""Which records are written, and how."""

from __future__ import annotations

import logging

import pytest

from sidecar.log import ConsoleFormatter, RepeatFilter, set_level


def a_record(message: str, *values: object, level: int = logging.WARNING, line: str = "sidecar.x") -> logging.LogRecord:
    """Return a record as a filter gets it."""
    return logging.makeLogRecord(
        {"name": line, "levelno": level, "levelname": "WARNING", "msg": message, "args": values}
    )


def test_repeats_are_left_out_and_counted() -> None:
    """The sixth of a message within a minute is not written; after the minute the next one says how many were not."""
    now = 0.0
    repeats = RepeatFilter(clock=lambda: now)
    assert [repeats.filter(a_record("lost %s", server)) for server in range(8)] == [True] * 5 + [False] * 3
    now = 60.0
    record = a_record("lost %s", 9)
    assert repeats.filter(record)
    assert "left_out=3" in ConsoleFormatter(colours=False).format(record)
    assert repeats.filter(after := a_record("lost %s", 10))
    assert "left_out" not in ConsoleFormatter(colours=False).format(after)


def test_other_messages_are_not_held_back() -> None:
    """Messages are counted by text, level and logger; below warning none is left out."""
    repeats = RepeatFilter(clock=lambda: 0.0)
    for _ in range(6):
        repeats.filter(a_record("server lost"))
    assert repeats.filter(a_record("found"))
    assert repeats.filter(a_record("server lost", level=logging.ERROR))
    assert repeats.filter(a_record("server lost", line="sidecar.y"))
    assert all(repeats.filter(a_record("moved", level=logging.INFO)) for _ in range(20))
    assert all(repeats.filter(a_record("%s", f"another {number}")) for number in range(20))


def test_memory_is_bounded() -> None:
    """However many different messages come, few are remembered."""
    repeats = RepeatFilter(clock=lambda: 0.0)
    for number in range(5000):
        assert repeats.filter(a_record(f"message {number}"))
    assert len(repeats._seen) <= 1001


@pytest.mark.parametrize(("level", "passes"), [("debug", True), ("error", False)])
def test_the_level_can_be_set_again(level: str, passes: bool) -> None:
    """A new level takes effect at once."""
    logger = logging.getLogger("sidecar")
    before = logger.level
    try:
        set_level(level)
        assert logger.isEnabledFor(logging.INFO) is passes
    finally:
        logger.setLevel(before)
