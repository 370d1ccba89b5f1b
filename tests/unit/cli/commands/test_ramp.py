"""`ramp` from start to finish."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import TEXT, Run


def test_a_ramp_starts_pauses_resumes_and_finishes(run: Run, key: Path) -> None:
    """Each step is written, and each result valid."""
    relaxed = ("--yes", "--hold-off", "0")
    there = run("ramp", "billing", "--to", "dc1", "--over", "2h", *relaxed)
    assert (there.code, there.err[:10], key.read_text()) == (0, "No change:", TEXT)
    assert run("ramp", "billing", "--to", "dc2", "--over", "2h", "--steps", "8", "--start", "1h", *relaxed).code == 0
    assert 'duration: "2h"' in key.read_text()
    assert run("ramp", "billing", "--pause", *relaxed).code == 0
    assert "split: {dc1: 8, dc2: 0}" in key.read_text()
    assert run("ramp", "billing", "--resume", *relaxed).code == 0
    finished = run("ramp", "billing", "--finish", *relaxed)
    assert finished.code == 0
    assert "active: dc2" in key.read_text()
    assert run("ramp", "billing", "--abort", *relaxed).code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["billing"],
        ["billing", "--to", "dc2"],
        ["billing", "--to", "dc2", "--over", "soon"],
        ["billing", "--to", "dc2", "--over", "2h", "--pause"],
        ["billing", "--pause", "--abort"],
        ["billing", "reports", "--pause"],
    ],
    ids=" ".join,
)
def test_wrong_usage_changes_nothing(run: Run, key: Path, arguments: list[str]) -> None:
    """Exit code 2, a sentence on stderr, nothing on stdout, nothing written."""
    result = run("ramp", *arguments, "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert result.err
