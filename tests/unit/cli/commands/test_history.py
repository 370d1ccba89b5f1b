"""`history`: its options; what it prints of a real sidecar's audit is tested with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.audit.journal_reader import FOLDER
from tests.unit.cli.conftest import Run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state directory with an empty audit."""
    (tmp_path / FOLDER).mkdir()
    return tmp_path


def test_text_is_the_default_and_table_its_old_name(run: Run, state: Path) -> None:
    """The old name still works, with a warning; other words are wrong usage."""
    where = ("--state-dir", str(state))
    by_default, text, table = (run("history", *where, *more) for more in ((), ("-o", "text"), ("-o", "table")))
    assert (by_default.code, by_default.err) == (text.code, text.err) == (0, "No recorded change matches.\n")
    assert (table.code, table.out) == (text.code, text.out)
    assert table.err == f"Warning: -o table is deprecated, use -o text\n{text.err}"
    assert run("history", *where, "-o", "json").entries == []
    wrong = run("history", *where, "-o", "xml")
    assert wrong.code == 2
    assert "'text', 'json', 'yaml'" in wrong.err


def test_the_format_may_stand_before_or_behind_the_command(run: Run, state: Path) -> None:
    """`history -o json verify` and `history verify -o json` are the same."""
    where = ("--state-dir", str(state))
    before, behind = run("history", "-o", "json", "verify", *where), run("history", "verify", "-o", "json", *where)
    assert before.json == behind.json == {"good": True, "records": 0, "problems": []}
    assert "unchanged, none missing" in run("history", "-o", "table", "verify", *where).out


def test_where_the_audit_is_must_be_said(run: Run, tmp_path: Path) -> None:
    """Exit code 78, and how to say it."""
    nowhere = run("history")
    assert nowhere.code == 78
    assert "--state-dir" in nowhere.err
    empty = run("history", "--state-dir", str(tmp_path))
    assert empty.code == 78
    assert f"there is no audit in {tmp_path}" in empty.err
