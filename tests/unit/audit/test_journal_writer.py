"""Writing on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.audit.event import EventKind
from sidecar.audit.journal import Journal
from sidecar.audit.journal_writer import JournalWriter
from sidecar.audit.record import Record
from tests.unit.audit.test_journal import record
from tests.waiting import eventually


class Disk(Journal):
    """A journal that fails, or hangs, for as long as a test says."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), max_bytes=1)
        self.full = False
        self.free = threading.Event()
        self.free.set()
        self.attempts = 0
        self.records: list[Record] = []

    def append(self, records: Sequence[Record]) -> None:
        self.attempts += 1
        self.free.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        self.records += records


@contextmanager
def writing(disk: Disk, *, max_records: int = 1000, max_characters: int = 10**6) -> Iterator[JournalWriter]:
    """Run a writer that tries again soon."""
    writer = JournalWriter(disk, retry_s=0.01, max_records=max_records, max_characters=max_characters)
    writer.start()
    try:
        yield writer
    finally:
        disk.free.set()
        writer.stop(5)


def words(disk: Disk) -> list[str]:
    """Return what the records on the disk say."""
    return [one.events[0].text for one in disk.records]


def test_a_full_disk_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Records that came while the disk was full are written afterwards, in order, once, with one warning."""
    disk = Disk()
    disk.full = True
    with writing(disk) as writer:
        for number in range(5):
            writer.enqueue(record(number))
        eventually(lambda: disk.attempts > 3, "several attempts")
        eventually(lambda: writer.status().waiting == 5, "what waits, between attempts")
        assert writer.status().error == "No space left on device"
        disk.full = False
        eventually(lambda: len(disk.records) == 5, "the records")
    assert words(disk) == [f"change {number}" for number in range(5)]
    assert [line.levelname for line in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("bounds", [{"max_records": 3}, {"max_characters": 30}])
def test_beyond_the_bound_the_oldest_go_and_are_counted(bounds: dict[str, int]) -> None:
    """Beyond its bounds the writer drops the oldest records, and a record in their place says how many."""
    disk = Disk()
    disk.full = True
    with writing(disk, **bounds) as writer:
        writer.enqueue(record(0, "x" * 10))
        eventually(lambda: disk.attempts, "an attempt")
        for number in range(1, 10):
            writer.enqueue(record(number, "x" * 10))
        disk.full = False
        eventually(lambda: words(disk)[-1:] == ["change 9"], "the newest")
    assert words(disk)[-3:] == ["change 7", "change 8", "change 9"]
    assert disk.records[0].events[0].kind is EventKind.LOST
    assert words(disk)[0].startswith("7 earlier records")


def test_a_hung_disk_holds_up_nobody() -> None:
    """While the disk hangs `enqueue` returns at once, and `stop` within its timeout."""
    disk = Disk()
    disk.free.clear()
    with writing(disk) as writer:
        writer.enqueue(record(1))
        eventually(lambda: disk.attempts, "an attempt")
        for number in range(2, 1000):
            writer.enqueue(record(number))
        writer.stop(0.05)


def test_stopping_writes_what_is_waiting() -> None:
    """A record that was enqueued just before `stop` is on disk after it."""
    disk = Disk()
    with writing(disk) as writer:
        writer.enqueue(record(1))
        writer.stop(5)
        assert words(disk) == ["change 1"]


def test_stopping_on_a_full_disk_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """A sidecar that stops while the disk is full logs how many records are lost."""
    disk = Disk()
    disk.full = True
    with writing(disk) as writer:
        writer.enqueue(record(1))
        eventually(lambda: disk.attempts, "an attempt")
        writer.stop(5)
    assert "the last 1 records of the audit are lost" in caplog.text


def test_a_broken_chain_is_reported_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log and the status of a new writer have the break before any record is enqueued."""
    journal = Journal(tmp_path, max_bytes=10**6)
    journal.append([record(1), record(2)])
    journal.close()
    (segment,) = tmp_path.glob("0*.jsonl")
    segment.write_bytes(segment.read_bytes().splitlines(keepends=True)[0])
    writer = JournalWriter(Journal(tmp_path, max_bytes=10**6))
    writer.start()
    eventually(lambda: writer.breaks == 1, "the break")
    writer.stop(5)
    assert "record 2 missing" in caplog.text


def test_what_waited_is_written_in_small_batches(tmp_path: Path) -> None:
    """After an outage of the disk the journal stays near its bound: not all that waited goes into one segment."""
    writer = JournalWriter(Journal(tmp_path, max_bytes=10**6))
    for number in range(40):
        writer.enqueue(record(number, "x" * 100_000))
    writer.start()
    eventually(lambda: writer.status().done == 40, "all records")
    writer.stop(5)
    sizes = [path.stat().st_size for path in tmp_path.glob("0*.jsonl")]
    assert max(sizes) < 10**6 / 8 + 400_000
    assert sum(sizes) < 10**6 + 400_000
