"""`status` of one sidecar."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar


def test_one_sidecar_is_shown_in_lines(run: Run, sidecar: Sidecar) -> None:
    """The answer is readable, and is data with -o json."""
    sidecar.serve("default: dc1\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    result = run("status", *at)
    assert result.code == 0
    assert dict(line.split(maxsplit=1) for line in result.out.splitlines())["state"] == "SYNCED"
    assert run("status", "-o", "json", *at).json["source"] == "file:test"


def test_the_address_may_come_from_the_environment(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """DC_SIDECAR_ADDRESS says where the sidecar is, once for all commands."""
    monkeypatch.setenv("DC_SIDECAR_ADDRESS", sidecar.address)
    result = run("status", "--timeout", "20s")
    assert result.code == 0
    assert "no routing document yet" in result.out


def test_a_file_without_sidecars_is_refused(run: Run, tmp_path: Path) -> None:
    """Nobody is no fleet in which all agree."""
    (tmp_path / "fleet").write_text("")
    result = run("status", "--sidecar", f"@{tmp_path}/fleet")
    assert (result.code, result.out) == (78, "")
    assert "names no sidecar" in result.err


@pytest.mark.parametrize("words", [["status"], ["watch"], ["filter", "x", "--candidates", "dc1=1"]])
def test_no_sidecar_is_exit_code_6(run: Run, tmp_path: Path, words: list[str]) -> None:
    """Nobody there is reported in a line, without a traceback."""
    result = run(*words, "--sidecar", f"unix:{tmp_path}/none.sock")
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith("Error: unix:")
    assert len(result.err.splitlines()) == 1
