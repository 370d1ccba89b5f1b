"""How a change ends when the config center does not simply say yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.cli import change
from sidecar.cli.change import run_change
from sidecar.cli.options.change import ChangeOptions
from sidecar.cli.options.target import Target
from sidecar.cli.sidecars import Endpoint
from sidecar.client import RoutingClient, SidecarUnreachable, Worker
from sidecar.editing import operations
from sidecar.editing.draft import Edit
from sidecar.editing.rules import SafetyRules
from sidecar.errors import SourceError, WriteConflict
from tests.unit.cli.center import OLD, THEIRS, Center


def _connect(endpoint: Endpoint, timeout: float) -> RoutingClient:
    raise SidecarUnreachable(f"{endpoint.address}: nobody within {timeout} s")


def _options(center: Center) -> ChangeOptions:
    return ChangeOptions(
        source=center,
        target=Target(url=center.url),
        timeout=5.0,
        max_bytes=1024,
        rules=SafetyRules(hold_off=0),
        by="lin",
        reason="",
        ticket="",
        full_document=False,
        new_apps=False,
        dry_run=False,
        yes=True,
        forced=frozenset(),
        redo=0,
        workers=(Worker("10.2.0.1:1", "dc2"),),
        output="text",
        wait=None,
        sidecars=(),
        connect=_connect,
    )


_EDIT = Edit(make=lambda current, _: operations.switch(current.valid()[0], "dc2", ["ours"]))


def _answer_lost(center: Center, text: bytes) -> None:
    center.text = text
    raise SourceError("no answer")


def _unreachable(center: Center, text: bytes) -> None:
    assert text != center.text
    raise SourceError("no way there")


def _second_try_of_its_own(center: Center, text: bytes) -> None:
    center.text = text
    raise WriteConflict("the key is at another version")


def _somebody_else(center: Center, text: bytes) -> None:
    assert text != THEIRS
    center.text = THEIRS


def _somebody_else_and_a_lag(center: Center, text: bytes) -> None:
    _somebody_else(center, text)
    center.lagging = 2


@pytest.mark.parametrize("way", [_answer_lost, _second_try_of_its_own])
def test_a_write_whose_answer_was_lost_is_done(way: Callable[[Center, bytes], None]) -> None:
    """Where an error leaves open whether the text was written, the key is looked at: it is there, so it was."""
    center = Center(way)
    assert run_change(_options(center), _EDIT) == 0
    assert b"ours: dc2" in center.text


def test_a_write_that_did_not_get_there_is_an_error() -> None:
    """What is not there was not written, and the source's own words say why."""
    center = Center(_unreachable)
    with pytest.raises(SourceError, match="no way there"):
        run_change(_options(center), _EDIT)
    assert center.text == OLD


@pytest.mark.parametrize("way", [_somebody_else, _somebody_else_and_a_lag])
def test_their_change_is_shown_also_if_the_center_lags(
    way: Callable[[Center, bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """After a conflict the key is read until it shows what was in the way; it is left as it is."""
    center = Center(way)
    assert run_change(_options(center), _EDIT) == 4
    assert "+  theirs: dc2" in capsys.readouterr().err
    assert center.text == THEIRS


@pytest.mark.parametrize(("times", "code"), [(1, 4), (2, 0), (3, 0)])
def test_redo_counts(times: int, code: int) -> None:
    """`--redo N` does it again N times at most, each time on top of what is there."""

    def another(center: Center, text: bytes) -> None:
        assert b"ours" in text
        center.text += b"# and another\n"

    center = Center(another, another)
    assert run_change(replace(_options(center), redo=times), _EDIT) == code
    assert center.text.count(b"# and another") == 2
    assert (b"ours: dc2" in center.text) == (code == 0)


def test_ctrl_c_while_waiting_says_that_it_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operator need not wonder whether the change was made."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(change, "check_connections", lambda *_: None)
    monkeypatch.setattr(change, "wait_for_revision", interrupted)
    center = Center()
    with pytest.raises(KeyboardInterrupt):
        run_change(replace(_options(center), wait=30.0, sidecars=("127.0.0.1:1",)), _EDIT)
    assert b"ours: dc2" in center.text
    assert "the document is written" in capsys.readouterr().err
