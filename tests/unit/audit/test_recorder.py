"""Changes are recorded in order, also across restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal import Journal
from sidecar.audit.record import Record, RecordCause, records
from sidecar.audit.recorder import Recorder
from sidecar.lifecycle import SourceState
from sidecar.view import View
from tests.unit.audit.test_record import DRILL, kinds, refused
from tests.unit.audit.views import NOTHING, SYNCED, view
from tests.waiting import eventually

SOURCE = "fake:routing"


@contextmanager
def recording(journal: Path | None = None) -> Iterator[tuple[Recorder, list[Record]]]:
    """Run a recorder, and collect its records."""
    records: list[Record] = []
    recorder = Recorder(SOURCE, journal=journal)
    recorder.subscribe(records.append)
    recorder.start()
    try:
        yield recorder, records
    finally:
        recorder.stop(5)


def remembered(folder: Path, *pairs: tuple[View, View]) -> None:
    """Write what an earlier sidecar saw at ten o'clock."""
    journal = Journal(folder, max_bytes=1024 * 1024)
    for before, after in pairs:
        at_ns = after.state.now_ns if after.state else 0
        journal.append(list(records(before, after, at_ns, SOURCE)))
    journal.close()


def test_changes_are_told_in_order() -> None:
    """Each change of the view is a record, with its time."""
    views = [NOTHING, view("dc1"), view("dc2"), view("dc1")]
    with recording() as (recorder, records):
        for index in range(3):
            recorder.changed(views[index], views[index + 1])
        eventually(lambda: len(records) == 3, "the records")
    assert [kinds(record) for record in records] == [["applied"], ["applied", "switch"], ["applied", "switch"]]
    assert records[0].at_ns <= records[1].at_ns <= records[2].at_ns


def test_what_a_reaction_did_is_told_in_its_turn() -> None:
    """With a time of its own, later than that of the change that it is about, whatever the clock says."""
    done = AuditEvent(kind=EventKind.RESCHEDULED, text="billing: 1 retried", subjects=("billing",))
    report = Record(at_ns=1, source=SOURCE, cause=RecordCause.REACTION, events=(done,))
    with recording() as (recorder, records):
        recorder.changed(NOTHING, view("dc1"))
        recorder.report(report)
        recorder.report(report)
        eventually(lambda: len(records) == 3, "the records")
    assert [kinds(record) for record in records] == [["applied"], ["rescheduled"], ["rescheduled"]]
    assert records[0].at_ns < records[1].at_ns < records[2].at_ns
    assert records[1].apps == {"billing"}


def test_what_changed_while_nobody_ran_is_told(tmp_path: Path) -> None:
    """A start with another document than that of the last record records a switch between the two."""
    remembered(tmp_path, (NOTHING, view("dc1")))
    with recording(tmp_path) as (recorder, records):
        recorder.changed(NOTHING, view("dc2"))
        eventually(lambda: records, "the record")
    assert kinds(records[0]) == ["applied", "switch"]
    assert "-dc1" in records[0].difference


def test_a_drill_that_ended_while_nobody_ran_is_told(tmp_path: Path) -> None:
    """What the clock changed while no sidecar ran is recorded at the next start."""
    during = view(DRILL, "2026-11-22T11:00:00Z")
    remembered(tmp_path, (view(DRILL), during), (NOTHING, during))
    with recording(tmp_path) as (recorder, records):
        recorder.changed(NOTHING, view(DRILL, "2026-11-22T13:00:00Z"))
        eventually(lambda: records, "the record")
    assert kinds(records[0]) == ["drill-ended", "return"]


def test_a_restart_without_a_change_tells_nothing(tmp_path: Path) -> None:
    """The same document at the next start, and the same refusal, are no changes."""
    first = view("dc1")
    bad = refused(b"nonsense", first)
    remembered(tmp_path, (NOTHING, first), (first, bad))
    with recording(tmp_path) as (recorder, records):
        again = replace(view("dc1"), status=replace(SYNCED, state=SourceState.DISCONNECTED, from_snapshot=True))
        recorder.changed(NOTHING, again)
        recorder.changed(again, refused(b"nonsense", again))
        recorder.changed(refused(b"nonsense", again), view("dc3"))
        eventually(lambda: records, "the record")
    assert [record.events[0].kind for record in records] == [EventKind.APPLIED]


@pytest.mark.parametrize("repaired", ["dc1", "dc3"])
def test_a_refusal_repaired_while_nobody_ran_gets_its_all_clear(tmp_path: Path, repaired: str) -> None:
    """The first valid answer after a restart is `accepted`, with the change or alone; an outage is no answer."""
    first = view("dc1")
    bad = refused(b"nonsense", first)
    remembered(
        tmp_path,
        (NOTHING, first),
        (first, bad),
        (bad, replace(view("dc1", down={"dc1": "no answer"}, was=first), status=bad.status)),
    )
    with recording(tmp_path) as (recorder, records):
        snapshot = replace(first, status=replace(SYNCED, state=SourceState.DISCONNECTED, from_snapshot=True))
        recorder.changed(NOTHING, snapshot)
        recorder.changed(snapshot, view(repaired))
        recorder.changed(view(repaired), view("dc2"))
        eventually(lambda: records and "switch" in kinds(records[-1]), "the last record")
    accepted = [record for record in records if "accepted" in kinds(record)]
    assert [event.detail for record in accepted for event in record.events if event.kind is EventKind.ACCEPTED] == [
        {"refused": "0123"}
    ]


def test_a_key_that_stays_missing_is_told_once() -> None:
    """A connection that comes and goes while the key is missing does not delete it again."""
    first = view("dc1")
    missing = replace(first, status=replace(SYNCED, state=SourceState.MISSING, error="no key"))
    lost = replace(first, status=replace(SYNCED, state=SourceState.DISCONNECTED))
    with recording() as (recorder, records):
        for before, after in ((first, missing), (missing, lost), (lost, missing), (missing, view("dc2"))):
            recorder.changed(before, after)
        eventually(lambda: records and records[-1].changed, "the last record")
    assert [kinds(record)[0] for record in records] == ["missing", "applied"]


def test_a_snapshot_that_is_older_than_the_record_is_no_switch_back(tmp_path: Path) -> None:
    """A kill may come between the record of a document and its snapshot; then the next start knows better."""
    remembered(tmp_path, (NOTHING, view("dc1")), (view("dc1"), view("dc2")))
    old = view("dc1")
    snapshot = replace(old, status=replace(SYNCED, from_snapshot=True))
    with recording(tmp_path) as (recorder, records):
        recorder.changed(NOTHING, snapshot)
        recorder.changed(snapshot, view("dc3"))
        eventually(lambda: records, "the record")
    assert [event.text for event in records[0].events if event.kind is EventKind.SWITCH] == ["dc2 → dc3"]
    assert len(records) == 1


def test_another_source_has_another_past(tmp_path: Path) -> None:
    """A state directory that is used for another key does not make a switch of it."""
    remembered(tmp_path, (NOTHING, view("dc1")))
    records: list[Record] = []
    recorder = Recorder("fake:other", journal=tmp_path)
    recorder.subscribe(records.append)
    recorder.start()
    recorder.changed(NOTHING, view("dc2"))
    eventually(lambda: records, "the record")
    recorder.stop(5)
    assert kinds(records[0]) == ["applied"]


def test_when_too_many_wait_those_in_between_are_one_change() -> None:
    """A chronicle that is held up keeps a bounded number of documents, and still ends at the newest."""
    held = threading.Event()
    records: list[Record] = []

    def slow(record: Record) -> None:
        held.wait(10)
        records.append(record)

    recorder = Recorder(SOURCE)
    recorder.subscribe(slow)
    recorder.start()
    views = [view(f"dc{number}") for number in range(200)]
    for index in range(199):
        recorder.changed(views[index], views[index + 1])
    assert len(recorder._waiting) <= 64
    held.set()
    eventually(lambda: records and records[-1].text == "dc199", "the newest document")
    recorder.stop(5)


def test_a_failure_of_ours_is_logged_and_the_next_change_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that cannot be recorded is logged, and the next one is recorded."""
    with recording() as (recorder, records):
        with monkeypatch.context() as patched:
            patched.setattr("sidecar.audit.record.moves", lambda *_: 1 / 0)
            recorder.changed(view("dc1"), view("dc2"))
            eventually(lambda: "could not be recorded in the audit" in caplog.text, "the log line")
        recorder.changed(view("dc2"), view("dc3"))
        eventually(lambda: records, "the record")
