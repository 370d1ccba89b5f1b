"""Reactions in order, again while they fail, and over restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.audit.journal import Journal
from sidecar.audit.record import Event, Record
from sidecar.reactions.acting import Failed
from sidecar.reactions.runner import Runner
from sidecar.reactions.settings import Reaction, read_reactions
from tests.unit.reactions.test_messages import RECORD
from tests.waiting import eventually


def changes(count: int, first: int = 0) -> list[Record]:
    """Return records of now, each with a time of its own."""
    now = time.time_ns()
    return [replace(RECORD, at_ns=now + number, revision=str(first + number)) for number in range(count)]


class Receiver:
    """What a reaction does, in a test: keeps revisions, fails and hangs as told."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.fail: Failed | None = None
        self.attempts = 0
        self.free = threading.Event()
        self.free.set()

    def __call__(self, _: Reaction, record: Record, events: tuple[Event, ...]) -> None:
        self.attempts += 1
        self.free.wait(10)
        assert [event.kind for event in events] == ["switch"]
        if self.fail:
            raise self.fail
        self.got.append(record.revision)


@contextmanager
def running(receiver: Receiver, folder: Path | None = None, retry_for: str = "1h") -> Iterator[Runner]:
    """Run a reaction."""
    (reaction,) = read_reactions([{"name": "chat", "webhook": "https://h/", "retry-for": retry_for}])
    journal = folder / "audit" if folder else None
    runner = Runner(reaction, state_dir=folder, journal=journal, source="file:x", act=receiver, first_pause=0.01)
    runner.start()
    try:
        yield runner
    finally:
        receiver.free.set()
        runner.stop(5)


def test_in_order_and_only_what_is_wanted() -> None:
    """Each change that concerns it is dealt with once, in order."""
    receiver = Receiver()
    with running(receiver) as runner:
        for record in changes(3):
            runner.take(replace(record, events=(Event(kind="applied", words=""),), revision="x"))
            runner.take(record)
        eventually(lambda: len(receiver.got) == 3, "all three")
    assert receiver.got == ["0", "1", "2"]
    assert (runner.standing.done, runner.standing.waiting) == (3, 0)


def test_it_tries_again_and_keeps_the_order() -> None:
    """While the receiver is ill the newer ones wait behind, and nothing is lost; how it stands can be seen."""
    receiver = Receiver()
    receiver.fail = Failed("status 503")
    with running(receiver) as runner:
        for record in changes(2):
            runner.take(record)
        eventually(lambda: receiver.attempts > 3, "several attempts")
        assert (runner.standing.waiting, runner.standing.error) == (2, "status 503")
        receiver.fail = None
        eventually(lambda: receiver.got == ["0", "1"], "both")
        eventually(lambda: runner.standing.error == "", "no error")


@pytest.mark.parametrize(("final", "retry_for"), [(True, "1h"), (False, "0")])
def test_it_gives_up(caplog: pytest.LogCaptureFixture, final: bool, retry_for: str) -> None:
    """What is refused for good, or for too long, is told in the log, and the next one has its turn."""
    receiver = Receiver()
    receiver.fail = Failed("status 404", final=final)
    with running(receiver, retry_for=retry_for) as runner:
        for record in changes(2):
            runner.take(record)
        eventually(lambda: runner.standing.failed == 2, "both given up")
    assert receiver.attempts == 2
    assert "reaction chat: given up: status 404" in caplog.text


def test_a_slow_one_holds_up_nobody() -> None:
    """`take` returns at once, another reaction goes on, and of a thousand and more that wait the oldest are dropped."""
    slow, quick = Receiver(), Receiver()
    slow.free.clear()
    with running(slow) as held, running(quick) as other:
        began = time.process_time()
        for record in changes(1200):
            held.take(record)
            other.take(record)
            eventually(lambda: other.standing.waiting < 900, "the quick one")
        assert time.process_time() - began < 5
        eventually(lambda: len(quick.got) == 1200, "the quick one")
        assert held.standing.waiting <= 1000
        assert held.standing.dropped >= 199


def test_a_restart_goes_on_where_it_ended(tmp_path: Path) -> None:
    """What was not done before the end is done after the start, by the audit; what was done is not done again."""
    receiver = Receiver()
    with running(receiver, tmp_path):
        eventually((tmp_path / "reactions" / "chat").exists, "a first mark")
    first, second, third = changes(3, first=1)
    journal = Journal(tmp_path / "audit", max_bytes=10**6)
    journal.append([first, second, replace(third, source="file:other")])
    journal.close()
    with running(receiver, tmp_path):
        eventually(lambda: receiver.got == ["1", "2"], "what was left")
        eventually(lambda: str(second.at_ns) in (tmp_path / "reactions" / "chat").read_text(), "the mark")
    with running(receiver, tmp_path) as runner:
        runner.take(replace(third, at_ns=time.time_ns()))
        eventually(lambda: receiver.got == ["1", "2", "3"], "the new one only")


def test_a_first_start_does_not_tell_of_the_past(tmp_path: Path) -> None:
    """A reaction that is added today says nothing of last week's switches."""
    journal = Journal(tmp_path / "audit", max_bytes=10**6)
    journal.append(changes(3))
    journal.close()
    receiver = Receiver()
    with running(receiver, tmp_path) as runner:
        eventually((tmp_path / "reactions" / "chat").exists, "a first mark")
        runner.take(replace(RECORD, at_ns=time.time_ns(), revision="new"))
        eventually(lambda: receiver.got, "the new one")
    assert receiver.got == ["new"]


def test_it_ends_while_it_waits_for_another_attempt() -> None:
    """`stop` does not wait for a receiver to get well."""
    receiver = Receiver()
    receiver.fail = Failed("status 503")
    with running(receiver) as runner:
        runner._first_pause = 60.0
        runner.take(changes(1)[0])
        eventually(lambda: receiver.attempts, "an attempt")
        began = time.monotonic()
        runner.stop(5)
        assert time.monotonic() - began < 2


def test_a_bug_of_ours_ends_no_reaction(caplog: pytest.LogCaptureFixture) -> None:
    """What no receiver did is logged, and the next change is told."""
    receiver = Receiver()
    with running(receiver) as runner:
        runner._act = lambda *_: 1 / 0  # type: ignore[assignment]
        runner.take(changes(1)[0])
        eventually(lambda: "reaction chat failed" in caplog.text, "the log line")
        runner._act = receiver
        runner.take(changes(1)[0])
        eventually(lambda: receiver.got, "the next one")
