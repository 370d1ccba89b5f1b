"""`edit`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sidecar.cli import change
from sidecar.cli.options.change import ChangeOptions
from tests.unit.cli.conftest import TEXT, Run


def test_what_the_editor_saved_is_written(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is checked, gets its `meta`, and is written; one that is not valid is kept in a file."""
    monkeypatch.setenv("VISUAL", "sed -i s/money/gold/")
    assert run("edit", "--yes", "--by", "lin").code == 0
    assert "# gold" in key.read_text()
    assert "by: lin" in key.read_text()
    before = key.read_text()
    monkeypatch.setenv("VISUAL", "sed -i s/default/defualt/")
    result = run("edit", "--yes")
    assert (result.code, key.read_text()) == (3, before)
    assert "defualt" in _kept(result.err)


def test_an_editor_that_fails_changes_nothing(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is reported; a text that nobody edited is not kept."""
    monkeypatch.setenv("VISUAL", "false")
    result = run("edit", "--yes")
    assert (result.code, key.read_text()) == (3, TEXT)
    assert "exited with 1" in result.err
    assert "kept" not in result.err
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    assert "set $EDITOR" in run("edit", "--yes").err


@pytest.mark.parametrize("answer", ["n", "dry run"])
def test_a_text_that_is_not_written_is_kept(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """An hour's work does not go with a no to the question, nor with a dry run."""
    monkeypatch.setenv("VISUAL", "sed -i s/money/gold/")
    monkeypatch.setattr(ChangeOptions, "may_ask", True)
    monkeypatch.setattr(change, "_ask", lambda _: False)
    result = run("edit", *(["--dry-run"] if answer == "dry run" else []))
    assert (result.code, key.read_text()) == (0, TEXT)
    assert "# gold" in _kept(result.err)


def _kept(message: str) -> str:
    kept = re.search("^Your text is kept: (.*)$", message, re.MULTILINE)
    assert kept is not None
    return Path(kept[1]).read_text()
