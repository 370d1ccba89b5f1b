"""The record on disk."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.audit.chain_head import state_witness
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.hash_chain import append_link
from sidecar.audit.journal import Journal
from sidecar.audit.journal_reader import documents, newest_first, verify
from sidecar.audit.record import Record, RecordCause
from sidecar.audit.segments import segments
from sidecar.errors import JournalInUse, StateFileRefused

SIZE = 1024 * 1024


def record(number: int, text: str = "") -> Record:
    """Return a record that is distinct by its number."""
    applied = AuditEvent(kind=EventKind.APPLIED, text=f"change {number}")
    return Record(at_ns=number, source="fake:", cause=RecordCause.DOCUMENT, events=(applied,), changed="c", text=text)


def written(folder: Path, count: int, *, max_bytes: int = SIZE, state_dir: Path | None = None) -> Journal:
    """Write records, each for itself; return the journal, closed."""
    journal = Journal(folder, max_bytes=max_bytes, witnesses=[state_witness(state_dir)] if state_dir else ())
    for number in range(1, count + 1):
        journal.append([record(number)])
    journal.close()
    return journal


def times(folder: Path) -> list[int]:
    """Return which records are there, the newest first."""
    return [one.at_ns for one in newest_first(folder) if one.cause is not RecordCause.AUDIT]


def audit_events(folder: Path) -> list[AuditEvent]:
    """Return the events that the journal itself recorded, the newest first."""
    return [one.events[0] for one in newest_first(folder) if one.cause is RecordCause.AUDIT]


def cut(folder: Path, lines: int) -> None:
    """Remove the last lines of the newest segment."""
    path = segments(folder)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def only(folder: Path) -> Path:
    """Return the one segment."""
    (path,) = segments(folder)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Records come back, the newest first, over several openings; the chain is whole; only the owner may read it."""
    written(tmp_path / "audit", 3)
    written(tmp_path / "audit", 2)
    assert times(tmp_path / "audit") == [2, 1, 3, 2, 1]
    verdict = verify(tmp_path / "audit")
    assert (verdict.records, verdict.first, verdict.last, verdict.problems) == (5, 1, 5, ())
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "audit").iterdir()} == {0}


def test_a_line_is_plain_json(tmp_path: Path) -> None:
    """Any tool can read the file, and the words in it."""
    written(tmp_path, 1)
    line = json.loads(only(tmp_path).read_text())
    assert (line["number"], line["at"], line["events"][0]["words"]) == (1, "1970-01-01T00:00:00Z", "change 1")


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_end_is_mended(tmp_path: Path, cut: int) -> None:
    """A reader ignores an unfinished line, and the next writer cuts it off."""
    written(tmp_path, 3)
    path = only(tmp_path)
    os.truncate(path, path.stat().st_size - cut)
    (tmp_path / "head").unlink()
    assert times(tmp_path) == [2, 1]
    written(tmp_path, 1)
    assert times(tmp_path) == [1, 2, 1]
    assert verify(tmp_path).problems == ()


def test_a_segment_that_was_only_begun_is_mended(tmp_path: Path) -> None:
    """After a crash right after a new segment was created, the journal is continued."""
    written(tmp_path, 2)
    (tmp_path / "000000000003.jsonl").write_bytes(b'{"number"')
    written(tmp_path, 1)
    assert (times(tmp_path), verify(tmp_path).problems) == ([1, 2, 1], ())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda lines: [lines[0], lines[1].replace(b"change 2", b"change 7"), *lines[2:]],
            "line 2: the line is not as",
        ),
        (lambda lines: [lines[0], *lines[2:]], "record 3 does not follow record 1"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "record 3 does not follow record 1"),
        (lambda lines: lines[1:], "records 1 to 1 are missing"),
        (lambda lines: lines[:-2], "records 4 to 5 are missing at the end"),
        (lambda lines: [*lines[:2], b"{}", *lines[2:]], "line 3: the line is not as"),
        (lambda lines: [*lines, lines[-1]], "record 5 does not follow record 5"),
    ],
)
def test_what_was_changed_or_removed_is_found(tmp_path: Path, change: object, found: str) -> None:
    """A record that was altered, removed, moved, added or repeated breaks the chain, and is named."""
    assert callable(change)
    written(tmp_path, 5)
    path = only(tmp_path)
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))
    assert re.search(found, "\n".join(verify(tmp_path).problems))


def test_a_restart_does_not_hide_what_was_changed(tmp_path: Path) -> None:
    """A sidecar that appends behind an altered or removed record does not hide that."""
    for spoil in (lambda lines: [*lines[:-1], lines[-1].replace(b"change", b"chance")], lambda lines: lines[:-1]):
        folder = tmp_path / str(id(spoil))
        written(folder, 3)
        path = only(folder)
        path.write_bytes(b"".join(line + b"\n" for line in spoil(path.read_bytes().splitlines())))
        written(folder, 1)
        assert verify(folder).problems


def test_the_oldest_make_room_and_the_chain_says_so(tmp_path: Path) -> None:
    """The journal stays within its bound; records removed for that are on record, and not missing."""
    journal = Journal(tmp_path, max_bytes=40_000)
    for number in range(1, 120):
        journal.append([record(number, "x" * 1000)])
        assert sum(path.stat().st_size for path in segments(tmp_path)) < 40_000 + 2000
    journal.close()
    verdict = verify(tmp_path)
    assert verdict.problems == ()
    assert verdict.first > 60
    assert times(tmp_path)[0] == 119
    segments(tmp_path)[0].unlink()
    assert "nothing says that they made room" in verify(tmp_path).problems[0]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Two writers would break the chain: the second one gets an error, and may try again later."""
    first, second = Journal(tmp_path, max_bytes=SIZE), Journal(tmp_path, max_bytes=SIZE)
    first.append([record(1)])
    with pytest.raises(JournalInUse, match="another sidecar is writing"):
        second.append([record(2)])
    first.close()
    second.append([record(2)])
    second.close()
    assert (times(tmp_path), verify(tmp_path).problems) == ([2, 1], ())


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that only half fits is taken back whole; once there is room it is written, once."""
    journal = Journal(tmp_path, max_bytes=SIZE)
    journal.append([record(1)])
    write = os.write
    room = [300]

    def cramped(descriptor: int, data: bytes) -> int:
        if not room:
            return write(descriptor, data)
        taken = min(room[0], len(data))
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= taken
        return write(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", cramped)
    with pytest.raises(OSError, match="No space"):
        journal.append([record(2), record(3)])
    assert only(tmp_path).read_bytes().count(b"\n") == 1
    assert only(tmp_path).read_bytes().endswith(b"\n")
    room.clear()
    journal.append([record(2), record(3)])
    journal.close()
    assert (times(tmp_path), verify(tmp_path).problems) == ([3, 2, 1], ())


def test_only_documents_of_the_source_that_took_effect(tmp_path: Path) -> None:
    """Who rolls back gets the texts that decided, of this source, the newest first."""
    journal = Journal(tmp_path, max_bytes=SIZE)
    refused = Record(
        at_ns=3,
        source="fake:",
        cause=RecordCause.DOCUMENT,
        events=(AuditEvent(kind=EventKind.REFUSED, text="no"),),
        text="bad",
    )
    other = Record(
        at_ns=4,
        source="fake:other",
        cause=RecordCause.DOCUMENT,
        events=(AuditEvent(kind=EventKind.APPLIED, text=""),),
        text="x",
    )
    journal.append([record(1, "dc1"), record(2, "dc2"), refused, other])
    journal.close()
    assert [one.text for one in documents(tmp_path, "fake:")] == ["dc2", "dc1"]


def test_an_empty_folder_is_a_good_journal(tmp_path: Path) -> None:
    """Where nothing was written yet nothing is missing."""
    assert verify(tmp_path).problems == ()
    assert list(newest_first(tmp_path)) == []


@pytest.mark.parametrize("content", [b'{"number": Infinity, "hash": "0"}', b"[" * 100_000, b"{}", b""])
def test_a_head_that_was_tampered_with_is_told_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    """Whatever `head` holds, `history verify` says that it is not as it was written, and records are appended."""
    written(tmp_path, 2)
    (tmp_path / "head").write_bytes(content)
    assert any("not as it was written" in problem for problem in verify(tmp_path).problems)
    written(tmp_path, 1)
    assert times(tmp_path) == [1, 2, 1]


def test_removed_records_are_missed_though_head_is_removed_too(tmp_path: Path) -> None:
    """The head in the state directory knows how many records there were, whatever became of the folder."""
    folder = tmp_path / "audit"
    written(folder, 5, state_dir=tmp_path)
    witnesses = [state_witness(tmp_path)]
    assert verify(folder, witnesses).problems == ()
    (folder / "head").unlink()
    cut(folder, 2)
    assert verify(folder).problems == ()
    (problem,) = verify(folder, witnesses).problems
    assert problem == f"records 4 to 5 are missing at the end, by {tmp_path / 'audit-head'}"
    shutil.rmtree(folder)
    (problem,) = verify(folder, witnesses).problems
    assert problem.startswith("records 1 to 5 are missing at the end")


def test_a_chain_that_was_computed_anew_is_not_the_one_of_the_witness(tmp_path: Path) -> None:
    """A shorter, longer or equally long chain in place of the old one has another digest than the witness knows."""
    for count in (5, 6):
        folder = tmp_path / str(count)
        written(folder, 5, state_dir=folder)
        shutil.rmtree(folder / "audit", ignore_errors=True)
        for path in segments(folder):
            path.unlink()
        (folder / "head").unlink()
        forged = Journal(folder, max_bytes=SIZE)
        for number in range(11, 11 + count):
            forged.append([record(number)])
        forged.close()
        problems = verify(folder, [state_witness(folder)]).problems
        assert any("record 5 is not the one that was written, by" in problem for problem in problems)


@pytest.mark.parametrize("spoil", ["tail", "all", "head", "rewritten"])
def test_a_restart_continues_a_broken_chain_visibly(
    tmp_path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins a segment with a record of the break, logs it, counts it, and `verify` keeps reporting it."""
    folder, witnesses = tmp_path / "audit", [state_witness(tmp_path)]
    written(folder, 5, state_dir=tmp_path)
    match spoil:
        case "tail":
            (folder / "head").unlink()
            cut(folder, 2)
        case "all":
            shutil.rmtree(folder)
        case "head":
            (folder / "head").write_bytes(b"{}")
        case _:
            segments(folder)[0].unlink()
            (folder / "head").unlink()
            other = Journal(folder, max_bytes=SIZE)
            other.append([record(number) for number in range(11, 16)])
            other.close()
    journal = Journal(folder, max_bytes=SIZE, witnesses=witnesses)
    journal.open()
    assert journal.breaks == 1
    assert "the audit is broken" in caplog.text
    journal.append([record(6)])
    journal.close()
    event = audit_events(folder)[0]
    expected = {
        "tail": "records 4 to 5 missing",
        "all": "records 1 to 5 missing",
        "head": f"{folder / 'head'} is not as it was written",
        "rewritten": "record 5 is not the one that was written last",
    }
    assert (event.kind, event.text) == (EventKind.BROKEN, expected[spoil])
    assert segments(folder)[-1].name == "000000000006.jsonl"
    assert times(folder)[0] == 6
    # The next start finds it as it was left, and does not report it again.
    again = written(folder, 1, state_dir=tmp_path)
    assert again.breaks == 0
    assert any("reports a break" in problem for problem in verify(folder, witnesses).problems)


@pytest.mark.parametrize("gone", ["segment", "folder", "older segment", "tail"])
def test_what_is_removed_while_running_is_noticed_by_the_next_append(
    tmp_path: Path, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A removed segment or folder and a cut file are logged and counted; records go on behind one that says so."""
    folder = tmp_path / "audit"
    journal = Journal(folder, max_bytes=8 * 500, witnesses=[state_witness(tmp_path)])
    for number in range(1, 4):
        journal.append([record(number, "x" * 500)])
    assert [path.name for path in segments(folder)] == [f"{number:012d}.jsonl" for number in (1, 2, 3)]
    match gone:
        case "segment":
            segments(folder)[-1].unlink()
        case "folder":
            shutil.rmtree(folder)
        case "older segment":
            segments(folder)[1].unlink()
        case _:
            segments(folder)[-1].write_bytes(b"")
    journal.append([record(4)])
    journal.append([record(5)])
    journal.close()
    lost = {"segment": 1, "folder": 3, "older segment": 1, "tail": 1}[gone]
    (event,) = [one for one in audit_events(folder) if one.kind is EventKind.LOST]
    assert event.detail == {"cause": "removed", "count": lost}
    assert "removed while the sidecar ran" in event.text
    assert event.text in caplog.text
    assert journal.breaks == 1
    assert times(folder)[:2] == [5, 4]
    assert verify(folder, [state_witness(tmp_path)]).problems
    assert "000000000004.jsonl" in [path.name for path in segments(folder)]


def test_a_folder_that_was_copied_back_is_continued(tmp_path: Path) -> None:
    """Other files with the same records are no loss: the next append goes there."""
    folder = tmp_path / "audit"
    journal = Journal(folder, max_bytes=SIZE)
    journal.append([record(1)])
    folder.rename(tmp_path / "before")
    shutil.copytree(tmp_path / "before", folder)
    journal.append([record(2)])
    journal.close()
    assert (times(folder), journal.breaks, verify(folder).problems) == ([2, 1], 0, ())


def test_a_journal_whose_lock_was_removed_takes_it_again(tmp_path: Path) -> None:
    """Without its lock file a second process could write too; the next append notices that one does."""
    first, second = Journal(tmp_path, max_bytes=SIZE), Journal(tmp_path, max_bytes=SIZE)
    first.append([record(1)])
    (tmp_path / "lock").unlink()
    second.append([record(2)])
    with pytest.raises(JournalInUse):
        first.append([record(3)])
    second.close()
    first.append([record(3)])
    first.close()
    assert (times(tmp_path), verify(tmp_path).problems) == ([3, 2, 1], ())


def test_a_record_is_written_in_pieces(tmp_path: Path) -> None:
    """While a record with many names is encoded, other threads get the interpreter: a checkpoint at each name."""
    steps: list[None] = []
    journal = Journal(tmp_path, max_bytes=SIZE, checkpoint=lambda: steps.append(None))
    names = tuple(f"app-{number}" for number in range(1000))
    moved = AuditEvent(kind=EventKind.SWITCH, text="moved", subjects=names)
    journal.append([replace(record(1), events=(moved,))])
    journal.close()
    assert len(steps) > len(names)
    assert [one.events[0].subjects for one in newest_first(tmp_path)] == [names]


@pytest.mark.parametrize("name", ["lock", "000000000001.jsonl", ".head.new", "head"])
def test_no_link_is_written_through(tmp_path: Path, name: str) -> None:
    """A link in place of any file of the journal is refused or replaced, and its target stays as it was."""
    folder, victim = tmp_path / "audit", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"untouched\n")
    (folder / name).symlink_to(victim)
    replaced = name in {".head.new", "head"}
    with nullcontext() if replaced else pytest.raises(StateFileRefused, match="symbolic link"):
        written(folder, 1)
    assert victim.read_bytes() == b"untouched\n"


def test_a_forged_record_that_is_none_stops_no_verification(tmp_path: Path) -> None:
    """Lines with a valid digest and anything inside are reported, and the rest is verified."""
    line, digest = append_link({"events": 7}, 1, "0" * 64)
    (tmp_path / "000000000001.jsonl").write_bytes(line + append_link({"events": [], "at_ns": 1}, 2, digest)[0])
    problems = verify(tmp_path).problems
    assert any("record 1 is no record of ours" in problem for problem in problems)
    assert len(problems) == 2
