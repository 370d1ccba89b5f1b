"""Which records are written, and how."""

from __future__ import annotations

import json
import logging

import pytest

from sidecar.log import ConsoleFormatter, RepeatFilter, configure, set_level
from sidecar.terminal import escaped

EVIL = "who\x1b[31m\n00:00:00 error: forged\u202e\x9b"


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


def test_nothing_forges_a_line_of_the_console() -> None:
    """Message and fields are one line without sequences; a traceback is indented."""
    record = a_record("lost %s", EVIL)
    record.by = EVIL
    record.exc_info = (ValueError, ValueError(EVIL), None)
    first, *rest = ConsoleFormatter(colours=False).format(record).split("\n")
    shown = r"who\x1b[31m\n00:00:00 error: forged\u202e\x9b"
    assert first.endswith(f"warning: lost {shown}  by={shown}")
    assert rest[-1] == r"  00:00:00 error: forged\u202e\x9b"
    assert all(line.startswith("  ") for line in rest)


def test_json_logs_hide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Characters that JSON may have as they are, and terminals act on, are escaped."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure("json", "info")
        logging.getLogger("sidecar.x").warning("lost %s", EVIL, extra={"by": "数据"})
    finally:
        root.handlers[:], root.level = before
    line = capsys.readouterr().err
    assert escaped(line.removesuffix("\n")) == line.removesuffix("\n")
    told = json.loads(line)
    assert (told["message"], told["by"]) == (f"lost {EVIL}", "数据")
    assert "数据" in line
