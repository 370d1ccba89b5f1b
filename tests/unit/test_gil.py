import gc
import json
import sys
import threading
import time
from typing import Any

import pytest

from sidecar.gil import NoGc, ShortSwitchInterval, Yielder, encode_json, without_gc
from sidecar.routing.document import parse_document
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def _no_other_timer() -> None:
    """Let the timers of earlier tests end: the interval is one for the whole process."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)


def test_short_work_is_not_rested_from() -> None:
    """Calls that come quickly one after another cost next to nothing: none of them sleeps."""
    naps: list[float] = []
    pacer = Yielder(clock=lambda: 1.0, rest=naps.append)
    for _ in range(1000):
        pacer()
    assert naps == []


def test_long_work_is_rested_from_again_and_again() -> None:
    """Each stretch of work of more than a third of a millisecond ends with a rest."""
    naps: list[float] = []
    now = 0.0

    def clock() -> float:
        return now

    pacer = Yielder(clock=clock, rest=naps.append)
    for _ in range(10):
        now += 0.0006
        pacer()
    assert len(naps) == 10
    assert all(nap > 0 for nap in naps)


def test_rests_are_longer_the_more_others_work() -> None:
    """Rests are short while no other thread works, else a multiple of its work, and bounded."""
    naps: list[float] = []
    now = others = 0.0
    pacer = Yielder(clock=lambda: now, rest=naps.append, others=lambda: others)
    for worked in (0.0, 0.0001, 0.0002, 0.1, 0.0, -1.0):
        now += 0.001
        others += worked
        pacer()
    assert naps == pytest.approx([0.00005, 0.0004, 0.0008, 0.001, 0.00005, 0.00005])


def test_other_threads_run_while_a_big_document_is_read() -> None:
    """A thread that wants the interpreter again and again gets it often while 10,000 applications are read."""
    turns = 0
    done = threading.Event()

    def busy_with_short_things() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    other = threading.Thread(target=busy_with_short_things)
    other.start()
    text = "apps:\n" + "".join(f"  app-{number}: {{active: dc1, min_workers: 2}}\n" for number in range(10_000))
    before = turns
    pacer = Yielder()
    parse_document(text.encode(), checkpoint=pacer)
    during = turns - before
    done.set()
    other.join()
    assert pacer.rests > 50
    assert during > pacer.rests


@pytest.mark.parametrize("options", [{}, {"ensure_ascii": True}, {"separators": (",", ":")}])
def test_json_is_encoded_in_pieces(options: dict[str, Any]) -> None:
    """It is what json.dumps returns, with a checkpoint at each entry; never in one piece."""
    value = {"names": [f"名-{number}" for number in range(1000)], "half": "\ud83d", "none": None, "floats": [1.5, True]}
    steps: list[None] = []
    assert encode_json(value, lambda: steps.append(None), **options) == json.dumps(
        value, **{"ensure_ascii": False} | options
    )
    assert len(steps) > 1000


def test_no_collection_runs_while_a_document_is_read_nor_looks_at_it_later() -> None:
    """The collector is off during the reading, on again after it, and what was read is out of its sight."""
    collected: list[str] = []

    def parse(text: bytes) -> list[list[bytes]]:
        collected.append("on" if gc.isenabled() else "off")
        return [[text] for _ in range(1000)]

    frozen = gc.get_freeze_count()
    try:
        document = without_gc(parse)(b"dc1")
        assert collected == ["off"]
        assert gc.isenabled()
        assert gc.get_freeze_count() - frozen >= len(document)
    finally:
        gc.unfreeze()


def test_the_collector_is_on_again_after_a_refusal() -> None:
    """A text that is refused leaves the collector as it was."""

    def refuse(_text: bytes) -> None:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        without_gc(refuse)(b"")
    assert gc.isenabled()
    gc.unfreeze()


def test_threads_take_short_turns_while_a_big_document_is_new() -> None:
    """While one is read, and for a while after it, Python interrupts a busy thread sooner; then as usual again."""
    usual = sys.getswitchinterval()
    during: list[float] = []

    def parse(text: bytes) -> int:
        during.append(sys.getswitchinterval())
        return len(text)

    reading = without_gc(parse, interval=ShortSwitchInterval(afterwards_s=0.2))
    try:
        reading(b"dc1")
        reading(bytes(1_000_000))
        assert during == pytest.approx([usual, 0.0005])
        eventually(lambda: sys.getswitchinterval() == pytest.approx(usual), "turns are as long as before")
    finally:
        sys.setswitchinterval(usual)
        gc.unfreeze()


def test_a_big_document_after_another_keeps_turns_short() -> None:
    """The end of the first one's time does not lengthen turns while the second one is read."""
    # An earlier test may have left them short for a moment.
    usual = 0.005
    sys.setswitchinterval(usual)
    turns = ShortSwitchInterval(afterwards_s=0.01)
    ended = threading.Event()
    try:
        with turns:
            pass
        with turns:
            threading.Timer(0.1, ended.set).start()
            assert ended.wait(10)
            assert sys.getswitchinterval() < usual
        eventually(lambda: sys.getswitchinterval() == pytest.approx(usual), "turns are as long as before")
    finally:
        sys.setswitchinterval(usual)


def test_the_collector_is_off_while_anybody_needs_it_off() -> None:
    """It is on again when the last one leaves, whoever came first."""
    off = NoGc()
    with off:
        with off:
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
