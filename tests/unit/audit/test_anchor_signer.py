"""Signing the heads of a journal, and handing them out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sidecar.audit.anchor_signer import AnchorSigner
from sidecar.audit.chain_head import ChainHead
from sidecar.audit.journal import Journal
from sidecar.audit.journal_writer import JournalWriter
from tests.unit.audit.test_journal import SIZE, record, written


class Key:
    """A key that fails as a test says."""

    def __init__(self) -> None:
        self.broken = False

    def sign(self, content: bytes) -> str:
        if self.broken:
            raise RuntimeError("no entropy")
        return f"signed {len(content)}"


def signer(folder: Path, key: Key | None = None, patience_s: float = 5.0) -> AnchorSigner:
    """Return a signer."""
    return AnchorSigner(key or Key(), source="fake:", journal=folder, patience_s=patience_s)


def test_a_change_waits_for_the_anchor_that_covers_it(tmp_path: Path) -> None:
    """A reaction that is faster than the disk gets the head behind its record, not the one before."""
    anchors = signer(tmp_path)
    journal = Journal(tmp_path, max_bytes=SIZE, witnesses=[anchors])
    writer = JournalWriter(journal, written=anchors.written)
    numbers: list[int] = []

    def react() -> None:
        for number in (1, 2):
            found = anchors.covering(record(number))
            numbers.append(found.head.number if found else 0)

    thread = threading.Thread(target=react)
    thread.start()
    writer.start()
    writer.enqueue(record(1))
    writer.enqueue(record(2))
    thread.join(10)
    writer.stop(5)
    assert numbers[0] in {1, 2}
    assert numbers[1] == 2


def test_records_of_an_earlier_run_are_covered_at_the_start(tmp_path: Path) -> None:
    """What a reaction did not finish before a restart is handed out with the head as it is found."""
    written(tmp_path, 3)
    anchors = signer(tmp_path)
    journal = Journal(tmp_path, max_bytes=SIZE, witnesses=[anchors])
    journal.open()
    found = anchors.covering(record(2))
    journal.close()
    assert found is not None
    assert found.head.number == 3


def test_a_disk_that_does_not_write_delays_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a written record there is no anchor, one warning, and later changes do not wait; then it works again."""
    anchors = signer(tmp_path, patience_s=0.01)
    assert anchors.covering(record(1)) is None
    anchors._patience_s = 60
    assert anchors.covering(record(2)) is None
    assert caplog.text.count("handed out without anchor") == 1
    anchors.save(ChainHead(2, "d"))
    anchors.written([record(1), record(2)])
    found = anchors.covering(record(2))
    assert found is not None
    assert found.head == ChainHead(2, "d")
    anchors._patience_s = 0.01
    assert anchors.covering(record(3)) is None
    assert caplog.text.count("handed out without anchor") == 2


def test_a_key_that_fails_harms_no_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The journal is written, changes are handed out without anchor, and one line says so until it works again."""
    key = Key()
    key.broken = True
    anchors = signer(tmp_path, key)
    journal = Journal(tmp_path, max_bytes=SIZE, witnesses=[anchors])
    for number in (1, 2):
        journal.append([record(number)])
        anchors.written([record(number)])
        assert anchors.covering(record(number)) is None
    assert caplog.text.count("could not be signed") == 1
    key.broken = False
    journal.append([record(3)])
    anchors.written([record(3)])
    journal.close()
    found = anchors.covering(record(3))
    assert found is not None
    assert found.head.number == 3
