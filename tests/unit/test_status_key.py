"""Feedback in the config center."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from sidecar.errors import DocumentRejected, Problem, SourceError, WriteConflict
from sidecar.lifecycle import RejectedDocument, SourceState, SourceStatus
from sidecar.routing.scalars import format_time, parse_time
from sidecar.sources.base import Content, Missing, Source
from sidecar.status_key import StatusKey, status_url
from sidecar.view import View
from tests.views import loaded
from tests.waiting import eventually

_SYNCED = SourceStatus(state=SourceState.SYNCED)
_NOTHING = View(state=None, status=_SYNCED, source=None)


class _Key:
    """A key with compare-and-set; `ways` are run before each write, in turn."""

    url = "fake:routing.status"

    def __init__(self, text: str | None = None, *ways: Callable[[_Key], None]) -> None:
        self.text = text
        self.ways = [*ways]
        self.writes = 0

    def read(self, timeout: float) -> Content | Missing:
        assert timeout > 0
        return Missing("no such key") if self.text is None else Content(self.text.encode(), str(hash(self.text)))

    def write(self, text: bytes, expected_version: str | None, timeout: float) -> str:
        assert timeout > 0
        if self.ways:
            self.ways.pop(0)(self)
        if expected_version != (None if self.text is None else str(hash(self.text))):
            raise WriteConflict("somebody else")
        self.text = text.decode()
        self.writes += 1
        return str(hash(self.text))

    @property
    def lines(self) -> list[str]:
        """The lines without their times, which are checked."""
        found = [line.partition(" ") for line in (self.text or "").splitlines()]
        assert all(parse_time(at) is not None for at, _, _ in found)
        return [line for _, _, line in found]


def _status_key(key: _Key) -> StatusKey:
    return StatusKey(cast("Source", key), delay=lambda: 0.0)


def _view(text: str, **status: Any) -> View:  # noqa: ANN401 - fields of a status
    return View(state=None, status=replace(_SYNCED, **status), source=loaded(text))


def _refused(before: View, revision: str = "0123") -> View:
    error = DocumentRejected((Problem("apps.a", "wrong", 3, 7),))
    refusal = RejectedDocument(revision=revision, error=error, at_ns=1, text=b"x")
    return replace(before, status=replace(before.status, state=SourceState.REJECTED, refusal=refusal))


def _revision(view: View) -> str:
    assert view.source is not None
    return view.source.document.revision


def _after(key: _Key, *views: View) -> list[str]:
    """Return the lines after a sidecar went through some views, each of which it had time to report."""
    status_key = _status_key(key)
    status_key.start()
    try:
        for before, after in zip((_NOTHING, *views), views, strict=False):
            saved = status_key.status().saved_ns
            status_key.changed(before, after)
            eventually(lambda saved=saved: status_key.status().saved_ns > saved, "the report")  # type: ignore[misc]
    finally:
        status_key.stop(5)
    return key.lines


@pytest.mark.parametrize(
    ("url", "beside"),
    [
        ("file:/etc/routing.yaml", "file:/etc/routing.yaml.status"),
        ("zookeeper://zk:2181/a/routing", "zookeeper://zk:2181/a/routing.status"),
        ("nacos://n:8848/G/key?namespace=NS", "nacos://n:8848/G/key.status?namespace=NS"),
    ],
)
def test_the_key_stands_beside_the_documents(url: str, beside: str) -> None:
    """In the same namespace, with a name that says what it is."""
    assert status_url(url) == beside


def test_each_change_has_a_line() -> None:
    """What was accepted by its author, what was refused by its place; the newest first."""
    first = _view("meta: {by: lin, reason: hot}\ndefault: dc1\n")
    bad = _refused(first)
    lines = _after(_Key(), first, bad, first)
    revision = _revision(first)
    accepted = f"accepted {revision} by lin, reason hot"
    # The third is about the first one's revision, within a minute: a sidecar that is behind looks the same.
    assert lines == ["refused 0123 apps.a (line 3, column 7): wrong", accepted]


def test_the_line_of_another_sidecar_is_found() -> None:
    """The first in a fleet writes; whoever comes behind, also by a lost compare-and-set, leaves it at that."""
    view = _view("default: dc1\n")
    line = f"accepted {_revision(view)}"
    key = _Key()
    assert _after(key, view) == [line]
    assert _after(key, view) == [line]
    assert key.writes == 1
    theirs = f"{format_time(time.time_ns())} {line} by theirs\n"

    def first(key: _Key) -> None:
        key.text = theirs

    late = _Key(None, first)
    assert _after(late, view) == [f"{line} by theirs"]
    assert late.writes == 0


def test_it_is_bounded() -> None:
    """Twenty lines of some hundred characters, whatever stood there or is wrong with a text."""
    view = _view("default: dc1\n")
    key = _Key("".join(f"2026-01-01T00:00:00Z accepted {n:012}\n" for n in range(300)))
    error = DocumentRejected((Problem("apps", "wrong\nand more" * 1_000, 1, 1),))
    bad = _refused(view)
    assert bad.status.refusal is not None
    bad = replace(bad, status=replace(bad.status, refusal=replace(bad.status.refusal, error=error)))
    status_key = _status_key(key)
    status_key.start()
    status_key.changed(view, bad)
    eventually(lambda: key.writes == 1, "the line")
    status_key.stop(5)
    assert len(key.lines) == 20
    assert max(map(len, key.lines)) < 450


def test_what_is_no_news_is_not_written() -> None:
    """A snapshot, a ramp step, a reconnect: nobody published anything."""
    view = _view("default: dc1\n")
    key = _Key()
    status_key = _status_key(key)
    status_key.start()
    status_key.changed(_NOTHING, _view("default: dc1\n", from_snapshot=True))
    status_key.changed(view, view)
    status_key.changed(view, replace(view, status=replace(view.status, state=SourceState.DISCONNECTED)))
    bad = _refused(view)
    status_key.changed(bad, bad)
    status_key.stop(5)
    assert key.text is None


def test_a_failure_stays_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its reason and counted; the next change is written again."""

    def away(_: _Key) -> None:
        raise SourceError("forbidden: no permission to publish")

    key = _Key(None, away)
    status_key = _status_key(key)
    status_key.start()
    view = _view("default: dc1\n")
    status_key.changed(_NOTHING, view)
    eventually(lambda: status_key.status().failing, "the failure")
    (record,) = caplog.records
    assert "the status key could not be written" in record.getMessage()
    assert vars(record)["error"] == "forbidden: no permission to publish"
    status_key.changed(view, _refused(view))
    eventually(lambda: key.writes == 1, "the next line")
    status_key.stop(5)
    assert not status_key.status().failing
