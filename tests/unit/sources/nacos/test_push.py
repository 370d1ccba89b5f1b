"""The watchdog over the SDK's sessions, with sessions that the test breaks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace

import pytest

from sidecar.sources.nacos import push as module
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.push import PushListener
from sidecar.sources.nacos.url import parse
from tests.waiting import eventually


class Session:
    """A session with the faults that the test sets."""

    def __init__(self) -> None:
        self.shown = ""
        self.broken: str | None = None
        self.answering = True
        self.closed = False
        self.checks: list[float] = []
        self.omitted = 0.0
        self._opened = time.monotonic()

    @property
    def age(self) -> float:
        return time.monotonic() - self._opened

    async def answers(self) -> bool:
        self.checks.append(time.monotonic())
        return self.answering

    def omit_own_check(self) -> None:
        self.omitted = time.monotonic()

    def fault(self) -> str | None:
        return self.broken

    def has_moved(self, before: str, now: str) -> bool:
        return (before, now) == ("a", self.shown)

    async def close(self) -> None:
        self.closed = True


class Sdk(SimpleNamespace):
    """What stands for the module that loads the SDK."""

    opened: list[Session]
    failures: list[Exception]
    changed: Callable[[], None]


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Sdk:
    """Stand in for the SDK, and make everything twenty times as quick."""
    told = Sdk(opened=[], failures=[])

    class Opening(Session):
        @classmethod
        async def open(cls, *_: object, changed: Callable[[], None], **_options: object) -> Session:
            if told.failures:
                raise told.failures.pop()
            told.changed = changed
            session = cls()
            told.opened.append(session)
            return session

    stand_in = ModuleType("sidecar.sources.nacos.sdk")
    stand_in.SdkSession = Opening  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.setattr("sidecar.sources.nacos.sdk", stand_in, raising=False)
    for name, seconds in (
        ("HEALTH_CHECK_S", 0.05),
        ("PROVED_AFTER_S", 0.2),
        ("CHECK_S", 0.02),
        ("PROVED_CHECK_S", 0.05),
        ("FIRST_PAUSE_S", 0.02),
        ("LONGEST_PAUSE_S", 0.1),
        # Longer than a busy machine takes from a session's opening to the test's next line.
        ("DEAF_AFTER_S", 1.0),
    ):
        monkeypatch.setattr(module, name, seconds)
    return told


@pytest.fixture
def woken() -> list[float]:
    """Collect when the reader was woken."""
    return []


@pytest.fixture
def push(sdk: Sdk, woken: list[float]) -> Iterator[PushListener]:  # noqa: ARG001 - in place before it starts
    """Start a push, and end it."""
    started = PushListener(
        lambda: parse("nacos://n1/g/d"),
        NacosCredentials({}),
        None,
        address="192.0.2.1",
        token=lambda: "",
        wake=lambda: woken.append(time.monotonic()),
        reread_s=0.1,
    )
    started.start()
    yield started
    started.stop(5)


def sessions(sdk: Sdk, count: int) -> Session:
    """Wait for so many sessions; return the newest."""
    eventually(lambda: len(sdk.opened) >= count, f"{count} sessions")
    return sdk.opened[count - 1]


def test_no_session_before_a_read_has_worked(push: PushListener, sdk: Sdk) -> None:
    """While no server answers there is nothing to listen to."""
    time.sleep(0.2)
    assert not sdk.opened
    push.observed("a")
    sessions(sdk, 1)


def test_a_session_ends_as_soon_as_reading_fails(push: PushListener, sdk: Sdk) -> None:
    """And the next one begins when reading works again."""
    push.observed("a")
    first = sessions(sdk, 1)
    push.observed(None)
    eventually(lambda: first.closed, "the session closed")
    time.sleep(0.2)
    assert len(sdk.opened) == 1
    push.observed("a")
    sessions(sdk, 2)


def test_a_broken_session_is_replaced_and_said(
    push: PushListener, sdk: Sdk, woken: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """The fault is logged once, as is the recovery, and the reader is woken."""
    caplog.set_level("INFO")
    push.observed("a")
    first = sessions(sdk, 1)
    first.shown = "a"
    first.broken = "its listening task has ended"
    second = sessions(sdk, 2)
    assert first.closed
    assert woken
    assert caplog.text.count("its listening task has ended") == 1
    second.shown = "a"
    eventually(lambda: "Nacos pushes changes" in caplog.text, "the good news")


def test_a_deaf_session_is_replaced(push: PushListener, sdk: Sdk) -> None:
    """A session that does not receive what a read found is replaced, whatever its own health check says."""
    push.observed("a")
    first = sessions(sdk, 1)
    first.shown = "a"
    time.sleep(1.2)
    assert not first.closed
    push.observed("b")
    sessions(sdk, 2)
    assert first.closed


def test_what_cannot_be_opened_is_tried_again_and_said_once(
    push: PushListener, sdk: Sdk, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if the SDK's private parts have moved: opening is retried, and the reason logged once."""
    sdk.failures = [AttributeError("no attribute 'grpc_client_proxy'") for _ in range(4)]
    push.observed("a")
    sessions(sdk, 1)
    assert caplog.text.count("grpc_client_proxy") == 1


def test_only_the_session_of_now_is_a_witness(push: PushListener, sdk: Sdk) -> None:
    """An earlier session is no witness: it may have been connected to another server."""
    push.observed("a")
    first = sessions(sdk, 1)
    first.shown = "b"
    assert push.has_moved("a", "b")
    assert not push.has_moved("b", "a")
    first.broken = "gone"
    eventually(lambda: not push.has_moved("a", "b"), "the witness gone")


def test_a_notice_wakes_the_reader(push: PushListener, sdk: Sdk, woken: list[float]) -> None:
    """A notification only wakes the reader."""
    push.observed("a")
    sessions(sdk, 1)
    sdk.changed()
    assert woken


def test_push_is_proved_by_what_arrived(push: PushListener, sdk: Sdk, woken: list[float]) -> None:
    """Proved: it received what reads find, a while ago, and its server answers; a doubt wakes the reader at once."""
    began = time.monotonic()
    push.observed("a")
    session = sessions(sdk, 1)
    session.shown = "a"
    eventually(lambda: push.is_proved("a"), "the proof")
    assert time.monotonic() - began > module.PROVED_AFTER_S
    assert not push.is_proved("b")
    before = len(woken)
    session.answering = False
    eventually(lambda: len(woken) > before, "the reader to be woken")
    assert not push.is_proved("a")
    session.answering = True
    eventually(lambda: push.is_proved("a"), "the proof again")
    began = time.monotonic()
    push.observed("b")
    assert not push.is_proved("a")
    session.shown = "b"
    eventually(lambda: push.is_proved("b"), "the proof of the change")
    assert time.monotonic() - began > module.PROVED_AFTER_S
    before = len(woken)
    session.broken = "gone"
    eventually(lambda: len(woken) > before, "the reader to be woken again")
    assert not push.is_proved("b")


def test_a_check_is_midway_between_two_reads(push: PushListener, sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the server answers: after half of the time between reads, and where reads are frequent much more rarely."""
    monkeypatch.setattr(push, "_check_s", 0.3)
    push.observed("a")
    session = sessions(sdk, 1)
    session.shown = "a"
    eventually(lambda: session.checks, "the first check, at once")
    for _ in range(2):
        push.observed("a")
        read, checks = time.monotonic(), len(session.checks)
        eventually(lambda: len(session.checks) > checks, "a check")  # noqa: B023
        assert session.checks[checks] - read >= 0.3
    began, checks = time.monotonic(), len(session.checks)
    while len(session.checks) == checks:
        assert time.monotonic() - began < 10
        push.observed("a")
        time.sleep(0.01)
    assert session.checks[checks] - session.checks[checks - 1] >= 0.9


def test_a_session_is_never_silent_for_long(push: PushListener, sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However rare reads are allowed to be: a server drops the push of a connection that is silent for 20 s."""
    monkeypatch.setattr(push, "_check_s", 30.0)
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    push.observed("a")
    session = sessions(sdk, 1)
    session.shown = "a"
    eventually(lambda: len(session.checks) >= 3, "checks without a read between them", within=20)
    assert module.PROVED_CHECK_S < module.SILENT_S


def test_the_sdk_checks_by_itself_once_ours_has_failed(push: PushListener, sdk: Sdk) -> None:
    """Its check replaces a connection that broke; until then it would only double the load."""
    push.observed("a")
    session = sessions(sdk, 1)
    session.shown = "a"
    eventually(lambda: session.omitted, "the check of the SDK to be omitted")
    session.answering = False
    push.observed("a")
    eventually(lambda: time.monotonic() - session.omitted > 0.3, "the check of the SDK to be allowed")


def test_a_missing_key_proves_nothing(push: PushListener, sdk: Sdk) -> None:
    """A session that has received nothing looks as if it had received that the key is missing."""
    push.observed("")
    sessions(sdk, 1)
    time.sleep(0.4)
    assert not push.is_proved("")
