"""An earlier document needs a second witness before it is reported."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import SourceError
from sidecar.sources import read_loop
from sidecar.sources.base import Content, Missing, Report, Unreachable
from sidecar.sources.nacos import watcher as watcher_module
from sidecar.sources.nacos.api import AbsentConfig, FoundConfig
from sidecar.sources.nacos.watcher import NacosWatcher
from sidecar.sources.ordering import OrderVerdict, VersionOrder

Answer = FoundConfig | AbsentConfig | SourceError


class Script:
    """An API that answers from a list, and remembers which reads asked for another server."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.other_server: list[bool] = []

    def read(self, within: float, *, other_server: bool = False) -> FoundConfig | AbsentConfig:  # noqa: ARG002
        self.other_server.append(other_server)
        answer = self.answers.pop(0)
        if isinstance(answer, SourceError):
            raise answer
        return answer


class Push:
    """A push that has seen the given moves."""

    def __init__(self, *moves: tuple[str, str], proved: bool = False) -> None:
        self.moves = moves
        self.proved = proved
        self.versions: list[str | None] = []

    def has_moved(self, before: str, now: str) -> bool:
        return (before, now) in self.moves

    def is_proved(self, version: str) -> bool:
        return self.proved and bool(version)

    def observed(self, version: str | None) -> None:
        self.versions.append(version)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no time between the first read and the second."""
    monkeypatch.setattr(read_loop, "CONFIRM_AFTER_S", 0.0)


def found(name: str) -> FoundConfig:
    """Return a text that is its own version."""
    return FoundConfig(name.encode(), name)


def play(script: Script, push: Push | None = None, *, known: Sequence[str] = ()) -> tuple[list[Report], list[float]]:
    """Look as often as the script has answers; return the reports and the pauses."""
    reports: list[Report] = []
    pauses = []
    watcher = NacosWatcher(
        script,  # type: ignore[arg-type]
        push or Push(),
        reports.append,
        threading.Event(),
        known=known,
        uniform=lambda low, high: (low + high) / 2,
    )
    while script.answers:
        pauses.append(watcher._loop.read_once())
    return reports, pauses


def texts(reports: list[Report]) -> list[str]:
    """Return the texts, and the names of reports without one."""
    return [report.text.decode() if isinstance(report, Content) else type(report).__name__ for report in reports]


def test_new_texts_are_reported_as_they_come() -> None:
    """A text that was never in force is reported at once."""
    script = Script(found("a"), found("b"), found("b"), found("c"))
    assert texts(play(script)[0]) == ["a", "b", "b", "c"]
    assert not any(script.other_server)


def test_a_member_that_lags_is_not_believed() -> None:
    """The old text once more, then the new one from another member: the old one is never reported."""
    script = Script(found("a"), found("b"), found("a"), found("b"), found("b"))
    assert texts(play(script)[0]) == ["a", "b", "b", "b"]
    assert script.other_server == [False, False, False, True, False]


def test_a_rollback_is_believed_at_the_second_read() -> None:
    """Two reads in a row bring the earlier text, so it is in force again."""
    assert texts(play(Script(found("a"), found("b"), found("a"), found("a")))[0]) == ["a", "b", "a"]


def test_a_rollback_that_the_push_saw_needs_no_second_read() -> None:
    """One member has shown the newest text and then the earlier one: members do not go back by themselves."""
    script = Script(found("a"), found("b"), found("a"))
    assert texts(play(script, Push(("b", "a")))[0]) == ["a", "b", "a"]


def test_a_member_that_lags_is_not_believed_after_a_restart() -> None:
    """The first read of a new process brings a text from before the snapshot's: the second read decides."""
    assert texts(play(Script(found("a"), found("b"), found("c")), known=["a", "b"])[0]) == ["b", "c"]
    assert texts(play(Script(found("a"), found("a")), known=["a", "b"])[0]) == ["a"]
    assert texts(play(Script(AbsentConfig("gone"), found("b")), known=["a", "b"])[0]) == ["b"]
    assert texts(play(Script(found("c")), known=["a", "b"])[0]) == ["c"]


def test_absence_is_confirmed_too() -> None:
    """A key is not missing for one answer right after a publish or a restart; for two it is."""
    assert texts(play(Script(found("a"), AbsentConfig("gone"), found("a")))[0]) == ["a", "a"]
    reports, _ = play(Script(found("a"), AbsentConfig("gone"), AbsentConfig("gone")))
    assert reports == [Content(b"a", "a"), Missing("gone")]


def test_two_earlier_texts_in_a_row_report_nothing() -> None:
    """While the members disagree nothing is reported, and the next look comes soon."""
    reports, pauses = play(Script(found("a"), found("b"), found("c"), found("a"), found("b")))
    assert texts(reports) == ["a", "b", "c"]
    assert pauses[-1] < 1


def test_pauses_grow_while_nobody_answers_and_start_over() -> None:
    """Pauses grow from a quarter of a second to three, and start over after a success."""
    away = [SourceError("away") for _ in range(6)]
    reports, pauses = play(Script(*away, found("a"), SourceError("away")))
    assert pauses == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0, watcher_module.POLL_S, 0.25]
    assert [type(report) for report in reports] == [Unreachable] * 6 + [Content, Unreachable]


def test_the_push_is_told_what_was_found() -> None:
    """The push gets each version read, and None for a failed read."""
    push = Push()
    play(Script(found("a"), SourceError("away"), AbsentConfig("gone"), AbsentConfig("gone")), push)
    assert push.versions == ["a", None, ""]


def test_reads_are_rare_while_push_is_proved_and_never_rarer_than_allowed() -> None:
    """The bound is not exceeded by its jitter; in doubt, or without a document, a read follows in 2 s."""
    script = Script(found("a"), AbsentConfig("gone"), AbsentConfig("gone"))
    assert play(script, Push(proved=True))[1] == [watcher_module.REREAD_S * 0.95, watcher_module.POLL_S]
    for chance in (min, max):
        watcher = NacosWatcher(
            Script(found("a")),  # type: ignore[arg-type]
            Push(proved=True),
            lambda _report: None,
            threading.Event(),
            reread_s=30.0,
            uniform=lambda low, high, chance=chance: chance(low, high),  # type: ignore[misc]
        )
        assert watcher._loop.read_once() == {min: 27.0, max: 30.0}[chance]


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=40))
def test_a_single_read_never_brings_an_earlier_version_back(answers: list[str]) -> None:
    """Whatever is read: a reported version is new, or came from two reads in a row."""
    script = Script(*(found(name) if name else AbsentConfig("gone") for name in answers))
    reports: list[Report] = []
    watcher = NacosWatcher(script, Push(), reports.append, threading.Event())  # type: ignore[arg-type]
    seen: list[str] = []
    while len(script.answers) >= 2:
        before = len(script.answers)
        watcher._loop.read_once()
        used = answers[len(answers) - before : len(answers) - len(script.answers)]
        now = [report.version if isinstance(report, Content) else "" for report in reports]
        if len(now) > len(seen) and now[-1] != (seen[-1] if seen else None):
            assert now[-1] not in seen or used == [now[-1]] * 2
        seen = now


def test_the_memory_of_versions_is_bounded() -> None:
    """A thousand versions are remembered, the oldest forgotten first."""
    order = VersionOrder()
    for number in range(3000):
        order.accept(str(number))
    assert order.judge("2500") is OrderVerdict.EARLIER
    assert order.judge("5") is OrderVerdict.NEW
    assert order.newest == "2999"
