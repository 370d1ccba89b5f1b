"""The reader: which release is reported, and when a poll begins afresh."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from sidecar.errors import SourceError
from sidecar.sources import read_loop
from sidecar.sources.apollo.client import AbsentKey, ApolloClient, Found, FoundRelease
from sidecar.sources.apollo.poll import Announcements, LongPoll
from sidecar.sources.apollo.url import ApolloAddress
from sidecar.sources.apollo.watcher import ApolloWatcher
from sidecar.sources.base import Content, Gray, Missing, Report, Unreachable

ONE, OTHER = ApolloAddress("one", 8080), ApolloAddress("other", 8080)


class FakeClient:
    """Config services whose answers the test queues."""

    def __init__(self) -> None:
        self.answers: list[Found | SourceError] = []
        self.server = ONE
        self.messages: dict[str, int] = {}

    def read(self, within: float, messages: dict[str, int], *, other_server: bool = False) -> Found:
        assert within > 0
        self.messages = messages
        if other_server:
            self.server = OTHER
        answer = self.answers.pop(0)
        if isinstance(answer, SourceError):
            raise answer
        return answer


class FakePoll:
    """A long poll whose announcements the test makes."""

    def __init__(self) -> None:
        self.announced = Announcements()
        self.followed: list[tuple[ApolloAddress, bool]] = []

    def announce(self, server: ApolloAddress = ONE) -> None:
        number = self.announced.count + 1
        self.announced = replace(self.announced, count=number, server=server, messages={"a+default+n": number})

    def follow(self, server: ApolloAddress, *, afresh: bool = False) -> None:
        self.followed.append((server, afresh))


class Scene:
    def __init__(self, *versions: str) -> None:
        self.client, self.poll, self.reports = FakeClient(), FakePoll(), list[Report]()
        self.watcher = ApolloWatcher(
            cast("ApolloClient", self.client),
            cast("LongPoll", self.poll),
            self.reports.append,
            threading.Event(),
            versions=versions,
        )

    def read(self, *answers: Found | SourceError) -> list[Report]:
        """Let one read find these answers; return what is reported at it."""
        self.client.answers = [*answers]
        before = len(self.reports)
        self.watcher._loop.read_once()
        assert not self.client.answers, "not all was asked for"
        return self.reports[before:]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Make a reader that does not pause before it confirms."""
    monkeypatch.setattr(read_loop, "CONFIRM_AFTER_S", 0.0)
    return Scene()


def release(number: int) -> FoundRelease:
    """Return the release of that number."""
    return FoundRelease(f"dc{number}".encode(), f"default/{number}")


def content(number: int) -> Content:
    """Return what is reported of it."""
    return Content(f"dc{number}".encode(), f"default/{number}")


def test_an_announced_rollback_is_reported_at_once(scene: Scene) -> None:
    """The service that announced it shows an earlier release: no second read."""
    scene.read(release(1))
    scene.read(release(2))
    scene.poll.announce()
    assert scene.read(release(1)) == [content(1)]
    assert scene.client.messages == {"a+default+n": 1}


@pytest.mark.parametrize("announced_by", [None, OTHER])
def test_an_earlier_release_needs_another_service(scene: Scene, announced_by: ApolloAddress | None) -> None:
    """Unannounced, or announced by a service that was not read, it counts only if another one shows it too."""
    scene.read(release(1))
    scene.read(release(2))
    if announced_by is not None:
        scene.poll.announce(announced_by)
    assert scene.read(release(1), release(2)) == [content(2)]
    scene.client.server = ONE
    assert scene.read(release(1), release(1)) == [content(1)]


@pytest.mark.usefixtures("scene")
def test_after_a_restart_too_an_earlier_release_needs_another_service() -> None:
    """The versions of the snapshot count as seen: the first read does not go back without a second one."""
    resumed = Scene("default/1", "default/2")
    assert resumed.read(release(1), release(2)) == [content(2)]
    assert Scene("default/1", "default/2").read(release(3)) == [content(3)]


def test_a_service_that_lags_even_more_changes_nothing(scene: Scene) -> None:
    """Two services that show different earlier releases are not believed; nothing is reported."""
    for number in (1, 2, 3):
        scene.read(release(number))
    assert scene.read(release(1), release(2)) == []


def test_a_missing_key_needs_another_service(scene: Scene) -> None:
    """Once there was a release, its absence is an earlier state: confirmed, or not reported."""
    scene.read(release(1))
    assert scene.read(AbsentKey("gone"), release(1)) == [content(1)]
    assert scene.read(AbsentKey("gone"), AbsentKey("gone")) == [Missing("gone")]


def test_a_gray_release_is_named(scene: Scene) -> None:
    """The branch that a release came from is the gray version's rule."""
    found = FoundRelease(b"dc3", "branch-1/7", "branch-1")
    assert scene.read(found) == [Content(b"dc3", "branch-1/7", Gray("branch-1"))]


def test_polls_begin_afresh_after_an_outage_and_a_release_that_they_missed(scene: Scene) -> None:
    """A poll with a number that the server does not reach is held for ever: what reading found resets it."""
    follow: Callable[[], tuple[ApolloAddress, bool]] = lambda: scene.poll.followed[-1]  # noqa: E731
    scene.read(release(1))
    assert follow() == (ONE, False)
    scene.poll.announce()
    scene.read(release(2))
    assert follow() == (ONE, False)
    scene.read(release(3))
    assert follow() == (ONE, True)
    assert scene.read(SourceError("refused")) == [Unreachable("refused")]
    scene.read(release(3))
    assert follow() == (ONE, True)
    scene.read(release(3))
    assert follow() == (ONE, False)


def test_a_defect_is_reported_and_outlived(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody expects is unreachable to the sidecar, and in the log."""
    scene.client.answers = []
    scene.watcher._loop.read_once()
    assert scene.reports == [Unreachable("reading failed: IndexError, see the log")]
    assert "failed unexpectedly" in caplog.text
    assert scene.read(release(1)) == [content(1)]
