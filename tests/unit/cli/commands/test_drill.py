"""`drill start`, `drill stop` and `drill list`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import TEXT, Run


def test_a_drill_is_started_listed_and_stopped(run: Run, key: Path) -> None:
    """A drill is on at once, is in the list with its reason, and stopping the only one needs no name."""
    started = run("drill", "start", "dc1", "--for", "30m", "--app", "billing", "--reason", "Q4", "--yes")
    assert started.code == 0
    assert "billing: all jobs dc1 → dc2" in started.out
    assert "the drill of dc1 ends" in started.out
    (drill,) = run("drill", "list", "-o", "json").entries
    assert (drill["state"], drill["apps"], drill["reason"]) == ("running", ["billing"], "Q4")
    assert "running" in run("drill", "list").out
    assert run("drill", "stop", "dc2", "--yes").code == 3
    assert run("drill", "stop", "--yes").code == 0
    assert "drills" not in key.read_text()
    assert run("drill", "stop", "--yes").code == 3


@pytest.mark.parametrize("arguments", [["start", "dc1"], ["stop", "dc1", "--all"]], ids=" ".join)
def test_wrong_usage_changes_nothing(run: Run, key: Path, arguments: list[str]) -> None:
    """Exit code 2, a sentence on stderr, nothing on stdout, nothing written."""
    result = run("drill", *arguments, "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert result.err
