from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.health.failover_store import FailoverStore, load, save
from sidecar.lifecycle import SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, FailoverStates, Phase
from sidecar.routing.state import State
from sidecar.table import View
from tests.waiting import eventually

SOURCE = "file:/etc/routing.yaml"
LEFT: FailoverStates = {(("billing", "7"), "dc1"): FailoverState(Phase.FAILED, 5, 5, "no workers")}


def view(failover_states: FailoverStates) -> View:
    """Return a view under these standings."""
    state = State(parse_document(b"dc1"), 1, 0, failover_states=failover_states)
    return View(state=state, text=b"dc1", status=SourceStatus())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Failovers come back after a restart, those of another source do not."""
    save(tmp_path / "state", SOURCE, LEFT)
    assert load(tmp_path / "state", SOURCE) == LEFT
    assert load(tmp_path / "state", "file:/another") == {}
    assert load(tmp_path / "nowhere", SOURCE) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 1, "source": "file:/etc/routing.yaml", "left": [1]}',
        b'{"format": 1, "source": "file:/etc/routing.yaml", "left": [["a", "", "dc1", Infinity, "why"]]}',
    ],
)
def test_what_is_torn_is_a_warning(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is no good does not keep the sidecar from starting."""
    (tmp_path / "failovers").write_bytes(content)
    assert load(tmp_path, SOURCE) == {}
    assert "is torn" in caplog.text


def test_what_cannot_be_read_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does one that cannot be read."""
    (tmp_path / "failovers").mkdir()
    assert load(tmp_path, SOURCE) == {}
    assert "cannot be read: Is a directory" in caplog.text


def test_each_failover_is_saved_and_a_full_disk_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A failover is on disk soon, other changes write nothing, and a disk that is full says so in the log."""
    keeper = FailoverStore(tmp_path, SOURCE)
    keeper.start()
    keeper.changed(view({}), view({}))
    keeper.changed(view({}), view(LEFT))
    eventually(lambda: load(tmp_path, SOURCE) == LEFT, "the failover on disk")
    (tmp_path / ".failovers.new").symlink_to("/dev/full")
    keeper.changed(view(LEFT), view({}))
    keeper.stop(5)
    assert "a failover could not be saved" in caplog.text
