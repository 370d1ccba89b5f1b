"""Pauses between attempts that fail."""

from __future__ import annotations

import threading
import time

from sidecar.backoff import Backoff, jitter


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def middle(low: float, high: float) -> float:
    """Return the middle, in place of a random number: no jitter."""
    return (low + high) / 2


def test_each_failure_doubles_the_pause_up_to_the_longest() -> None:
    """The sequence begins at `first_s`, doubles, and stays at `longest_s`, however many failures there are."""
    backoff = Backoff(first_s=0.25, longest_s=3.0, uniform=middle)
    assert [backoff.fail() for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]
    for _ in range(5000):
        backoff.fail()
    assert (backoff.failures, backoff.pause_s, backoff.fail()) == (5006, 3.0, 3.0)


def test_a_success_begins_anew() -> None:
    """After `reset` the next failure brings the first pause again, and nothing is to be waited for."""
    clock = Clock()
    backoff = Backoff(first_s=1.0, longest_s=60.0, clock=clock, uniform=middle)
    for _ in range(3):
        backoff.fail()
    assert (backoff.failures, backoff.pause_s, backoff.remaining_s) == (3, 8.0, 4.0)
    backoff.reset()
    assert (backoff.failures, backoff.pause_s, backoff.remaining_s) == (0, 1.0, 0.0)
    assert backoff.fail() == 1.0


def test_what_remains_of_a_pause_is_reported() -> None:
    """`remaining_s` counts down by the clock and ends at 0; before any failure an attempt is due."""
    clock = Clock()
    backoff = Backoff(first_s=2.0, longest_s=60.0, clock=clock, uniform=middle)
    assert backoff.remaining_s == 0
    backoff.fail()
    clock.now += 0.5
    assert backoff.remaining_s == 1.5
    clock.now += 5
    assert backoff.remaining_s == 0


def test_jitter_spreads_a_pause_by_a_fifth() -> None:
    """The random number is drawn from 0.8 to 1.2, and multiplies the pause; it does not add up over failures."""
    bounds = []

    def highest(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    backoff = Backoff(first_s=10.0, longest_s=20.0, uniform=highest)
    assert [backoff.fail() for _ in range(3)] == [12.0, 24.0, 24.0]
    assert jitter(5.0, uniform=lambda low, _: low) == 4.0
    assert set(bounds) == {(0.8, 1.2)}
    assert all(0.8 <= jitter(1.0) <= 1.2 for _ in range(100))


def test_stopping_ends_a_wait() -> None:
    """A pause of an hour ends at once when `stopping` is set; a short one ends by itself."""
    stopping = threading.Event()
    backoff = Backoff(first_s=0.01, longest_s=3600.0, uniform=middle)
    backoff.fail()
    assert not backoff.wait(stopping)
    for _ in range(30):
        backoff.fail()
    stopping.set()
    began = time.monotonic()
    assert backoff.wait(stopping)
    assert time.monotonic() - began < 60
