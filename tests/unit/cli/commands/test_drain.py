"""`drain` and its `--undo`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import TEXT, Run


def test_a_worker_is_drained_and_put_back(run: Run, key: Path) -> None:
    """The entry is written with its reason, the effect says so, and --undo removes it again."""
    result = run("drain", "10.1.0.7:*", "--yes", "--reason", "disk")
    assert result.code == 0
    assert '- {match: "10.1.0.7:*", available: false, reason: disk}' in key.read_text()
    assert "10.1.0.7:*: available → drained (disk)" in result.out
    again = run("drain", "10.1.0.7:*", "--yes", "--undo")
    assert again.code == 0
    assert "workers" not in key.read_text()
    assert "10.1.0.7:*: drained (disk) → available" in again.out


def test_wrong_usage_changes_nothing(run: Run, key: Path) -> None:
    """A pattern that is none, and an entry that is not there, are refused with the remedy."""
    missing = run("drain", "10.1.0.7:*", "--yes", "--undo")
    assert (missing.code, key.read_text()) == (3, TEXT)
    assert "found no entry 10.1.0.7:* in `workers`, expected one of: none" in missing.err
    malformed = run("drain", "10.*.7", "--yes")
    assert (malformed.code != 0, key.read_text()) == (True, TEXT)
    assert "one * at its begin or end" in malformed.err
