"""`undo`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Run


def test_the_last_change_is_taken_back_and_made_again(run: Run, key: Path) -> None:
    """Whatever it was, within the hold-off too; a second undo undoes the first."""
    nothing = run("undo", "--yes")
    assert (nothing.code, "keeps no history" in nothing.err) == (3, True)
    assert run("shift", "billing", "dc1=1", "dc2=1", "--yes").code == 0
    undone = run("undo", "--yes", "--hold-off", "1h")
    assert undone.code == 0
    assert "billing: dc1" in key.read_text()
    assert "reason: rollback to " in key.read_text()
    assert run("undo", "--yes", "--hold-off", "1h").code == 0
    assert "split: {dc1: 1, dc2: 1}" in key.read_text()
