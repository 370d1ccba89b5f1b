"""`mark` down and up."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import TEXT, Run


def test_a_datacenter_is_marked_down_and_up(run: Run, key: Path) -> None:
    """Down moves the work to the backups; up brings it back."""
    down = run("mark", "dc1", "down", "--yes", "--force", "out-of-service")
    assert down.code == 0
    assert "every other application: all jobs dc1 → dc2" in down.out
    assert "available: false" in key.read_text()
    assert run("mark", "dc1", "up", "--yes", "--hold-off", "1h").code == 0
    assert "available" not in key.read_text()


def test_wrong_usage_changes_nothing(run: Run, key: Path) -> None:
    """A word other than down and up is wrong usage."""
    result = run("mark", "dc1", "off", "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert "off" in result.err
