"""How a change ends when the config center does not simply say yes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pytest

from sidecar.cli.carry_out import carry_out
from sidecar.cli.changing import Orders
from sidecar.client import RoutingClient
from sidecar.editing import verbs
from sidecar.editing.live_workers import LiveWorkers
from sidecar.editing.proposal import Edit
from sidecar.editing.safety_rules import SafetyRules
from sidecar.errors import SourceError, WriteConflict
from sidecar.sources.base import Content, Missing, Report

_OLD = b"default: dc1\n"
_THEIRS = b"default: dc1\napps:\n  theirs: dc2\n"


class _Center:
    """A config center with one key; `write` goes as each of `ways` says, in turn, and well at the end."""

    url = "fake:key"
    history = None

    def __init__(self, *ways: Callable[[_Center, bytes], None]) -> None:
        self.text = _OLD
        self.lagging = 0
        self.before = _OLD
        self._ways = [*ways]

    def start(self, deliver: Callable[[Report], None]) -> None:
        raise NotImplementedError

    def stop(self, timeout: float) -> None:
        raise NotImplementedError

    def read(self, timeout: float) -> Content | Missing:
        assert timeout > 0
        if self.lagging:
            self.lagging -= 1
            return Content(self.before, str(hash(self.before)))
        return Content(self.text, str(hash(self.text)))

    def write(self, text: bytes, expected_version: str | None, timeout: float) -> str:
        assert timeout > 0
        if self._ways:
            self._ways.pop(0)(self, text)
        if expected_version != str(hash(self.text)):
            raise WriteConflict("somebody else")
        self.text = text
        return str(hash(text))


def _nobody_seen(_: Collection[str], _revision: str) -> Mapping[str, LiveWorkers]:
    return {}


def _orders(center: _Center) -> Orders:
    def connect(address: str, host: str) -> RoutingClient:
        raise AssertionError((address, host))

    return Orders(
        source=center,
        rules=SafetyRules(hold_off=0),
        max_bytes=1024,
        timeout=5.0,
        by="lin",
        reason="",
        ticket="",
        full_document=False,
        workers=None,
        ask=_nobody_seen,
        dry_run=False,
        yes=True,
        forced=frozenset(),
        redo=0,
        output="text",
        wait=None,
        sidecars=(),
        connect=connect,
    )


_EDIT = Edit(make=lambda opened, _: verbs.switch(opened.valid()[0], "dc2", ["ours"]), moves_work=True)


def _answer_lost(center: _Center, text: bytes) -> None:
    center.text = text
    raise SourceError("no answer")


def _unreachable(center: _Center, text: bytes) -> None:
    assert text != center.text
    raise SourceError("no way there")


def _second_try_of_its_own(center: _Center, text: bytes) -> None:
    center.text = text
    raise WriteConflict("the key is at another version")


def _somebody_else(center: _Center, text: bytes) -> None:
    assert text != _THEIRS
    center.text = _THEIRS


def _somebody_else_and_a_lag(center: _Center, text: bytes) -> None:
    _somebody_else(center, text)
    center.lagging = 2


@pytest.mark.parametrize("way", [_answer_lost, _second_try_of_its_own])
def test_a_write_whose_answer_was_lost_is_done(way: Callable[[_Center, bytes], None]) -> None:
    """Where an error leaves open whether the text was written, the key is looked at: it is there, so it was."""
    center = _Center(way)
    assert carry_out(_orders(center), _EDIT) == 0
    assert b"ours: dc2" in center.text


def test_a_write_that_did_not_get_there_is_an_error() -> None:
    """What is not there was not written, and the source's own words say why."""
    center = _Center(_unreachable)
    with pytest.raises(SourceError, match="no way there"):
        carry_out(_orders(center), _EDIT)
    assert center.text == _OLD


@pytest.mark.parametrize("way", [_somebody_else, _somebody_else_and_a_lag])
def test_their_change_is_shown_also_if_the_center_lags(
    way: Callable[[_Center, bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """After a conflict the key is read until it shows what was in the way; it is left as it is."""
    center = _Center(way)
    assert carry_out(_orders(center), _EDIT) == 4
    assert "+  theirs: dc2" in capsys.readouterr().err
    assert center.text == _THEIRS


@pytest.mark.parametrize(("times", "code"), [(1, 4), (2, 0), (3, 0)])
def test_redo_counts(times: int, code: int) -> None:
    """`--redo N` does it again N times at most, each time on top of what is there."""

    def another(center: _Center, text: bytes) -> None:
        assert b"ours" in text
        center.text += b"# and another\n"

    center = _Center(another, another)
    assert carry_out(replace(_orders(center), redo=times), _EDIT) == code
    assert center.text.count(b"# and another") == 2
    assert (b"ours: dc2" in center.text) == (code == 0)
