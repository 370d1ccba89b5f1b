"""`pin` and its way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import TEXT, Run


def test_a_job_is_pinned_and_released(run: Run, key: Path) -> None:
    """The job gets a route of its own, and loses it again with --remove."""
    assert run("pin", "billing", "1001", "dc2", "--yes").code == 0
    assert '"1001": dc2' in key.read_text()
    assert run("pin", "billing", "1001", "--remove", "--yes").code == 0
    assert "1001" not in key.read_text()
    again = run("pin", "billing", "1001", "--remove", "--yes")
    assert again.code == 3
    assert "no route of its own" in again.err


@pytest.mark.parametrize("arguments", [["billing", "1001"], ["billing", "1001", "dc2", "--remove"]], ids=" ".join)
def test_wrong_usage_changes_nothing(run: Run, key: Path, arguments: list[str]) -> None:
    """Exit code 2, a sentence on stderr, nothing on stdout, nothing written."""
    result = run("pin", *arguments, "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert result.err
