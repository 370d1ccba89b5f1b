"""`history`: its options; what it prints of a real sidecar's audit is tested with one."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.audit.chain_head import state_witness
from sidecar.audit.database import AuditDatabase
from sidecar.audit.journal import Journal
from sidecar.audit.journal_reader import FOLDER
from tests.ssh_keys import Signer
from tests.unit.audit.anchors import anchored, keep
from tests.unit.audit.test_journal import record
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


def test_an_emptied_audit_is_not_verified(run: Run, tmp_path: Path) -> None:
    """Exit code 1 if the folder was emptied or removed: the head beside it knows how many records there were."""
    journal = Journal(tmp_path / FOLDER, max_bytes=10**6, witnesses=[state_witness(tmp_path)])
    journal.append([record(1), record(2)])
    journal.close()
    where = ("--state-dir", str(tmp_path))
    assert run("history", "verify", *where).code == 0
    for leave in (True, False):
        shutil.rmtree(tmp_path / FOLDER)
        if leave:
            (tmp_path / FOLDER).mkdir()
        verdict = run("history", "verify", *where)
        assert (verdict.code, "records 1 to 2 are missing" in verdict.out) == (1, True)


def test_newer_records_in_the_shared_database_are_missed(run: Run, tmp_path: Path) -> None:
    """With --audit-db, the newest records are known to be missing though the heads were changed with them."""
    database = f"sqlite:///{tmp_path}/audit.db"
    (tmp_path / "sidecar").write_text("me-1")
    with closing(AuditDatabase(database, sidecar="me-1")) as shared:
        for number in (1, 2):
            shared.add(record(number * 10**9))
    journal = Journal(tmp_path / FOLDER, max_bytes=10**6)
    journal.append([record(10**9)])
    where = ("--state-dir", str(tmp_path), "--audit-db", database)
    verdict = run("history", "verify", *where)
    assert verdict.code == 1
    assert "the shared database has one of 1970-01-01T00:00:02Z by this sidecar" in verdict.out
    journal.append([record(2 * 10**9)])
    journal.close()
    assert run("history", "verify", *where).code == 0


def test_anchors_are_checked_in_a_file_and_in_the_shared_database(run: Run, tmp_path: Path) -> None:
    """Both places find a removed end, though heads and the sidecar's name were removed too."""
    key = Signer(tmp_path, "me").key
    database = f"sqlite:///{tmp_path}/audit.db"
    handed_out = anchored(tmp_path / FOLDER, key, 2)
    kept = keep(tmp_path / "kept.jsonl", handed_out)
    with closing(AuditDatabase(database, sidecar="me-1")) as shared:
        for number, anchor in enumerate(handed_out, 1):
            shared.add(record(number), anchor)
    where = ("--state-dir", str(tmp_path), "--anchor-key", str(key.with_suffix(".pub")))
    in_file, in_database = ("--anchors", str(kept)), ("--audit-db", database)
    assert "unchanged, none missing, as 4 anchors prove" in run("history", "verify", *where, *in_file, *in_database).out
    assert run("history", "verify", *where, *in_file, "-o", "json").json == {
        "good": True,
        "records": 2,
        "anchors": 2,
        "problems": [],
    }
    shutil.rmtree(tmp_path / FOLDER)
    for place, said in ((in_file, "kept.jsonl, line 2"), (in_database, "shared database")):
        verdict = run("history", "verify", *where, *place)
        assert (verdict.code, "records 1 to 2 are missing at the end" in verdict.out) == (1, True)
        assert said in verdict.out


def test_anchors_need_a_key_and_a_key_needs_anchors(run: Run, state: Path) -> None:
    """Exit code 78, and what is missing."""
    where = ("history", "verify", "--state-dir", str(state))
    no_key, no_anchors = run(*where, "--anchors", "kept"), run(*where, "--anchor-key", "public")
    assert (no_key.code, "expected --anchor-key beside it" in no_key.err) == (78, True)
    assert (no_anchors.code, "expected --anchors or --audit-db beside it" in no_anchors.err) == (78, True)
