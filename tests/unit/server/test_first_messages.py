"""Calls whose first message does not come."""

from __future__ import annotations

import threading

from sidecar.server.first_messages import FirstMessages
from tests.waiting import eventually


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _of(clock: _Clock, ended: list[str], *names: str) -> FirstMessages:
    """Return first messages that these calls wait for, a second apart."""
    # Looked at by the test alone.
    first = FirstMessages(within=3600, clock=clock)
    for name in names:
        first.expect(name, lambda name=name: ended.append(name))  # type: ignore[misc]  # bound here
        clock.now += 1
    return first


def test_overdue_calls_are_ended_once() -> None:
    """Those that wait for as long as is allowed, the oldest first; not those whose message came."""
    clock, ended = _Clock(), list[str]()
    first = _of(clock, ended, "a", "b", "c", "d")
    first.came("b")
    clock.now = 3602.0
    first.end_overdue()
    assert ended == ["a", "c"]
    first.came("a")
    first.end_overdue()
    assert ended == ["a", "c"]


def test_where_places_are_short_the_oldest_gives_way() -> None:
    """Unless it has waited for less than a second: then its message is on its way."""
    clock, ended = _Clock(), list[str]()
    first = _of(clock, ended, "a", "b")
    clock.now = 1.5
    assert first.end_oldest()
    assert not first.end_oldest()
    assert ended == ["a"]


def test_overdue_calls_are_ended_by_a_thread() -> None:
    """Nobody needs to ask for it."""
    ended = threading.Event()
    FirstMessages(within=0.01).expect("a", ended.set)
    assert ended.wait(10)


def test_the_thread_sleeps_while_there_are_no_calls() -> None:
    """An idle server has nothing to look at; the next call wakes it."""
    first, ended = FirstMessages(within=0.01), threading.Event()
    first.expect("a", lambda: None)
    first.came("a")
    eventually(lambda: first._asleep, "the thread to sleep")
    first.expect("b", ended.set)
    assert ended.wait(10)
    eventually(lambda: first._asleep, "the thread to sleep again")
