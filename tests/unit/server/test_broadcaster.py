"""Turns of watchers to send."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sidecar.server import broadcaster
from sidecar.server.broadcaster import Broadcaster, Watcher
from tests.waiting import eventually


class _Stream:
    """A client that is there until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def is_active(self) -> bool:
        return not self.cancelled.is_set()

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait for as long as a test takes for a watcher that makes or sends its update."""
    monkeypatch.setattr(broadcaster, "_SENDING_S", 60.0)
    monkeypatch.setattr(broadcaster, "_MAKING_S", 60.0)
    return iter((None,))


def _with(count: int, *, room: int = 1024**3) -> tuple[Broadcaster, list[Watcher]]:
    turns = Broadcaster(room, rest=lambda: None)
    return turns, [turns.add(_Stream()) for _ in range(count)]


def _having_turn(watchers: list[Watcher]) -> list[Watcher]:
    return [watcher for watcher in watchers if watcher.turn.is_set()]


def test_one_watcher_after_the_other_has_a_turn() -> None:
    """A change wakes the next one only once the one before has sent its update."""
    turns, watchers = _with(5)
    for watcher in watchers:
        assert watcher.turn.wait(10)
        assert _having_turn(watchers) == [watcher]
        watcher.turn.clear()
        turns.done(watcher)
    turns.wake()
    assert watchers[0].turn.wait(10)
    assert _having_turn(watchers) == watchers[:1]


def test_one_that_does_not_read_holds_up_the_next_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next has its turn while the update of the one before is under way still."""
    monkeypatch.setattr(broadcaster, "_SENDING_S", 0.001)
    turns, watchers = _with(2)
    assert watchers[0].turn.wait(10)
    turns.sending(watchers[0], 1000)
    assert watchers[1].turn.wait(10)


def test_updates_under_way_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, watchers wait; one that does not read for 5 s is then cancelled and gives its room."""
    monkeypatch.setattr(broadcaster, "_SENDING_S", 0.001)
    monkeypatch.setattr(broadcaster, "_LOOK_S", 0.01)
    turns, watchers = _with(2, room=1000)
    assert watchers[0].turn.wait(10)
    turns.sending(watchers[0], 1000)
    assert not watchers[1].turn.wait(0.1)
    monkeypatch.setattr(broadcaster, "_STALLED_S", 0.0)
    stream = watchers[0].stream
    assert isinstance(stream, _Stream)
    assert stream.cancelled.wait(10)
    turns.remove(watchers[0])
    assert watchers[1].turn.wait(10)


def test_a_change_during_a_turn_gives_another_one() -> None:
    """A watcher that sends an update when there is a newer one is not forgotten."""
    turns, (watcher, other) = _with(2)
    assert watcher.turn.wait(10)
    watcher.turn.clear()
    turns.wake()
    turns.done(watcher)
    assert other.turn.wait(10)
    turns.done(other)
    assert watcher.turn.wait(10)


def test_those_whose_clients_are_gone_leave_one_after_the_other() -> None:
    """They go before those that wait, and need no room."""
    turns, watchers = _with(4)
    assert watchers[0].turn.wait(10)
    turns.leave(watchers[3])
    turns.leave(watchers[2])
    turns.done(watchers[0])
    assert watchers[3].turn.wait(10)
    assert not watchers[2].turn.is_set()
    turns.remove(watchers[3])
    assert watchers[2].turn.wait(10)
    assert not watchers[1].turn.is_set()
    turns.remove(watchers[2])
    assert watchers[1].turn.wait(10)


def test_one_that_has_left_is_not_waited_for() -> None:
    """Its client's going is reported after it has been forgotten, too."""
    turns, watchers = _with(2)
    assert watchers[0].turn.wait(10)
    turns.remove(watchers[0])
    turns.leave(watchers[0])
    assert watchers[1].turn.wait(10)
    eventually(lambda: watchers[0] not in turns._under_way, "nothing under way for one that has left")
