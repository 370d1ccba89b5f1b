"""Following the audit: in order, again while it fails, and over restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.audit.consumer import ConsumerTask, RecordConsumer
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal import Journal
from sidecar.audit.record import Record
from sidecar.errors import TaskDeferred, TaskFailed
from tests.unit.reactions.test_messages import RECORD
from tests.waiting import eventually


def changes(count: int, first: int = 0) -> list[Record]:
    """Return records of now, each with a time of its own."""
    now = time.time_ns()
    return [replace(RECORD, at_ns=now + number, revision=str(first + number)) for number in range(count)]


class Receiver:
    """A task that collects revisions, and fails or hangs as the test says."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.fail: TaskFailed | TaskDeferred | None = None
        self.attempts = 0
        self.free = threading.Event()
        self.free.set()

    def __call__(self, record: Record) -> None:
        self.attempts += 1
        self.free.wait(10)
        if self.fail:
            raise self.fail
        self.got.append(record.revision)


def switches(record: Record) -> bool:
    """Return whether a record is of a switch."""
    return any(event.kind is EventKind.SWITCH for event in record.events)


@contextmanager
def running(
    receiver: Receiver,
    folder: Path | None = None,
    *,
    retry_for: float = 3600.0,
    first_pause: float = 0.01,
    max_waiting: int = 1000,
    from_start: bool = False,
) -> Iterator[RecordConsumer]:
    """Run a consumer."""
    task = ConsumerTask(
        name="chat",
        act=receiver,
        wanted=switches,
        retry_for=retry_for,
        first_pause=first_pause,
        from_start=from_start,
    )
    journal = folder / "audit" if folder else None
    consumer = RecordConsumer(task, source="file:x", state_dir=folder, journal=journal, max_waiting=max_waiting)
    consumer.start()
    try:
        yield consumer
    finally:
        receiver.free.set()
        consumer.stop(5)


def journaled(folder: Path, *records: Record) -> None:
    """Write records to the journal."""
    journal = Journal(folder / "audit", max_bytes=10**6)
    journal.append(records)
    journal.close()


def test_in_order_and_only_what_is_wanted() -> None:
    """Each wanted record is processed once, in order."""
    receiver = Receiver()
    with running(receiver) as consumer:
        for record in changes(3):
            consumer.enqueue(replace(record, events=(AuditEvent(kind=EventKind.APPLIED, text=""),), revision="x"))
            consumer.enqueue(record)
        eventually(lambda: len(receiver.got) == 3, "all three")
    assert receiver.got == ["0", "1", "2"]
    assert (consumer.status().done, consumer.status().waiting) == (3, 0)


def test_it_tries_again_and_keeps_the_order() -> None:
    """While an attempt fails newer records wait behind, none is lost, and the status shows the error."""
    receiver = Receiver()
    receiver.fail = TaskFailed("status 503")
    with running(receiver) as consumer:
        for record in changes(2):
            consumer.enqueue(record)
        eventually(lambda: receiver.attempts > 3, "several attempts")
        assert (consumer.status().waiting, consumer.status().error) == (2, "status 503")
        receiver.fail = None
        eventually(lambda: receiver.got == ["0", "1"], "both")
        eventually(lambda: consumer.status().error == "", "no error")


@pytest.mark.parametrize(("final", "retry_for"), [(True, 3600.0), (False, 0.0)])
def test_it_gives_up(caplog: pytest.LogCaptureFixture, final: bool, retry_for: float) -> None:
    """A final failure, or one that lasts too long, is logged, and the next record is processed."""
    receiver = Receiver()
    receiver.fail = TaskFailed("status 404", final=final)
    with running(receiver, retry_for=retry_for) as consumer:
        for record in changes(2):
            consumer.enqueue(record)
        eventually(lambda: consumer.status().failed == 2, "both given up")
    assert receiver.attempts == 2
    assert "chat: given up: status 404" in caplog.text


def test_a_slow_one_holds_up_nobody() -> None:
    """`enqueue` returns at once, other consumers continue, and beyond a thousand records the oldest are dropped."""
    slow, quick = Receiver(), Receiver()
    slow.free.clear()
    with running(slow) as held, running(quick) as other:
        began = time.process_time()
        for record in changes(1200):
            held.enqueue(record)
            other.enqueue(record)
            eventually(lambda: other.status().waiting < 900, "the quick one")
        assert time.process_time() - began < 5
        eventually(lambda: len(quick.got) == 1200, "the quick one")
        assert held.status().waiting <= 1000
        assert held.status().dropped >= 199


def test_a_restart_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Records left at the stop are processed after the start, from the journal; finished ones are not repeated."""
    receiver = Receiver()
    with running(receiver, tmp_path):
        eventually((tmp_path / "followers" / "chat").exists, "a first mark")
    first, second, third = changes(3, first=1)
    journaled(tmp_path, first, second, replace(third, source="file:other"))
    with running(receiver, tmp_path):
        eventually(lambda: receiver.got == ["1", "2"], "what was left")
        eventually(lambda: str(second.at_ns) in (tmp_path / "followers" / "chat").read_text(), "the mark")
    with running(receiver, tmp_path) as consumer:
        consumer.enqueue(replace(third, at_ns=time.time_ns()))
        eventually(lambda: receiver.got == ["1", "2", "3"], "the new one only")


def test_a_first_start_does_not_tell_of_the_past(tmp_path: Path) -> None:
    """A reaction that is added today does not process last week's switches."""
    journaled(tmp_path, *changes(3))
    receiver = Receiver()
    with running(receiver, tmp_path) as consumer:
        eventually((tmp_path / "followers" / "chat").exists, "a first mark")
        consumer.enqueue(replace(RECORD, at_ns=time.time_ns(), revision="new"))
        eventually(lambda: receiver.got, "the new one")
    assert receiver.got == ["new"]


def test_it_ends_while_it_waits_for_another_attempt() -> None:
    """`stop` does not wait for the next attempt."""
    receiver = Receiver()
    receiver.fail = TaskFailed("status 503")
    with running(receiver, first_pause=60.0) as consumer:
        consumer.enqueue(changes(1)[0])
        eventually(lambda: receiver.attempts, "an attempt")
        began = time.monotonic()
        consumer.stop(5)
        assert time.monotonic() - began < 2


def test_a_bug_of_ours_ends_no_reaction(caplog: pytest.LogCaptureFixture) -> None:
    """A defect in the task is logged, and the next record is processed."""
    receiver = Receiver()
    with running(receiver) as consumer:
        receiver.fail = ZeroDivisionError()  # type: ignore[assignment]
        consumer.enqueue(changes(1)[0])
        eventually(lambda: "chat failed" in caplog.text, "the log line")
        receiver.fail = None
        consumer.enqueue(changes(1)[0])
        eventually(lambda: receiver.got, "the next one")


def test_what_is_not_yet_to_be_done_is_never_given_up() -> None:
    """A deferred task is no failure, however long it takes."""
    receiver = Receiver()
    receiver.fail = TaskDeferred("another one is at it")
    with running(receiver, retry_for=0.0) as consumer:
        consumer.enqueue(changes(1)[0])
        eventually(lambda: receiver.attempts > 3, "several looks")
        receiver.fail = None
        eventually(lambda: receiver.got == ["0"], "its turn")
    assert consumer.status().failed == 0


def test_what_memory_has_no_room_for_is_found_in_the_journal(tmp_path: Path) -> None:
    """A long outage loses, reorders and repeats nothing, though few records wait in memory."""
    receiver = Receiver()
    receiver.fail = TaskFailed("away")
    everything = changes(25)
    with running(receiver, tmp_path, max_waiting=4, from_start=True) as consumer:
        for record in everything:
            consumer.enqueue(record)
        eventually(lambda: receiver.attempts > 2, "attempts")
        receiver.fail = None
        eventually(lambda: len(receiver.got) == 4, "those in memory")
        # The journal has them a little later than memory would have.
        journaled(tmp_path, *everything)
        eventually(lambda: len(receiver.got) == 25, "all")
        more = changes(3, first=25)
        journaled(tmp_path, *more)
        for record in more:
            consumer.enqueue(record)
        eventually(lambda: len(receiver.got) == 28, "what came then")
    assert receiver.got == [str(number) for number in range(28)]


def test_one_that_begins_at_the_start(tmp_path: Path) -> None:
    """With `from_start` a new consumer processes the whole journal, in parts if there are too many records."""
    receiver = Receiver()
    journaled(tmp_path, *changes(10))
    with running(receiver, tmp_path, max_waiting=3, from_start=True):
        eventually(lambda: len(receiver.got) == 10, "all")
    assert receiver.got == [str(number) for number in range(10)]
