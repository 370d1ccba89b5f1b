"""`rollback`, on a config center that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sidecar.cli.options import flags as params
from sidecar.routing.document import revision_of
from sidecar.sources.base import Author, HistoryEntry
from tests.unit.cli.center import Center
from tests.unit.cli.conftest import Run

_BAD, _GOOD, _OLDER, _OTHER = (f"default: dc{n}\n".encode() for n in range(1, 5))


def _entry(text: bytes | None) -> HistoryEntry:
    return HistoryEntry(version=None, text=text, at_ns=10**18, author=Author(user="kim"))


class _History:
    """Three documents, and a deletion in between."""

    def entries(self, limit: int, timeout: float) -> Sequence[HistoryEntry]:
        assert timeout > 0
        return [_entry(text) for text in (_BAD, None, _GOOD, _OLDER)][:limit]

    def author(self, version: str, timeout: float) -> Author | None:
        raise NotImplementedError


@pytest.fixture
def center(monkeypatch: pytest.MonkeyPatch, run: Run) -> Center:  # noqa: ARG001 - variables are cleared before
    """Return the config center that commands find, which remembers."""
    center = Center()
    center.history = _History()
    center.text = _BAD
    monkeypatch.setattr(params, "open_source", lambda *_: center)
    monkeypatch.setenv("DC_SIDECAR_SOURCE", "fake:key")
    return center


def test_the_document_before_is_written_again(run: Run, center: Center) -> None:
    """It is the newest that is not in force, with the rollback's own `meta`."""
    assert run("rollback", "--yes", "--by", "lin").code == 0
    assert center.text.endswith(_GOOD)
    assert f"reason: rollback to {revision_of(_GOOD)}".encode() in center.text


def test_on_top_of_another_change_it_goes_back_to_the_same_document(run: Run, center: Center) -> None:
    """What somebody wrote meanwhile does not make the document that was to be left the one before."""

    def somebody_else(_: Center, text: bytes) -> None:
        assert text.endswith(_GOOD)
        center.text = _OTHER

    center.ways.append(somebody_else)
    assert run("rollback", "--yes", "--redo", "1").code == 0
    assert center.text.endswith(_GOOD)


def test_a_revision_may_be_shortened(run: Run, center: Center) -> None:
    """One that is not remembered is refused, with those that are."""
    assert run("rollback", revision_of(_OLDER)[:6], "--yes").code == 0
    assert center.text.endswith(_OLDER)
    unknown = run("rollback", "ffffffffffff", "--yes")
    assert unknown.code == 3
    assert revision_of(_GOOD) in unknown.err


def test_the_documents_are_listed(run: Run, center: Center) -> None:
    """Newest first; nothing is changed."""
    listed = run("rollback", "--list", "-o", "json").entries
    assert [entry["revision"] for entry in listed] == [revision_of(text) for text in (_BAD, _GOOD, _OLDER)]
    assert revision_of(_OLDER) in run("rollback", "--list").out
    assert center.text == _BAD


def test_a_required_reason_is_the_operators_own(run: Run, center: Center) -> None:
    """Where the configuration requires a reason, none is made up."""
    result = run("rollback", "--yes", "--require-reason")
    assert result.code == 3
    assert "reason: " in result.err
    assert center.text == _BAD


def test_without_any_history_the_own_changes_are_undone(run: Run, key: Path) -> None:
    """A file keeps no history: what was written from here is gone back to, also under a text that is not valid."""
    refused = run("rollback", "--yes")
    assert refused.code == 3
    assert "keeps no history" in refused.err
    assert run("switch", "billing", "dc2", "--yes").code == 0
    good = key.read_text()
    assert run("rollback", "--yes").code == 0
    assert "billing: dc1" in key.read_text()
    assert run("rollback", revision_of(good.encode()), "--yes").code == 0
    key.write_text("default: {activ: dc1}\n")
    broken = run("switch", "billing", "dc1", "--yes")
    assert broken.code == 3
    assert "go back to the last good one with `dc-sidecar rollback`" in broken.err
    assert run("rollback", "--yes").code == 0
    assert "billing: dc2" in key.read_text()
