from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.health.failover_store import FailoverStore, load, save
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, FailoverStates, Phase
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, ProbeFailure
from sidecar.routing.state import State
from sidecar.view import View
from tests.views import view_of
from tests.waiting import eventually

SOURCE = "file:/etc/routing.yaml"
REFUSED = Fault(FaultKind.PROBES, probes=(ProbeFailure("tcp gw:1", "refused"),), since_ns=9 * 10**9)
FEW = Fault(FaultKind.TOO_FEW_WORKERS, workers=1, needed=2)
LEFT: FailoverStates = {
    (("billing", "7"), name): FailoverState(Phase.FAILED, 5, 5, fault)
    for name, fault in (("dc1", NO_WORKERS), ("dc2", FEW), ("dc3", REFUSED))
}


def view(failover_states: FailoverStates) -> View:
    """Return a view with these failovers."""
    state = State(parse_document(b"dc1"), 1, 0, failover_states=failover_states)
    return view_of(state, b"dc1")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Failovers come back after a restart, those of another source do not."""
    save(tmp_path / "state", SOURCE, LEFT)
    assert load(tmp_path / "state", SOURCE) == LEFT
    assert load(tmp_path / "state", "file:/another") == {}
    assert load(tmp_path / "nowhere", SOURCE) == {}


def test_what_an_older_version_saved_is_loaded_with_its_text(tmp_path: Path) -> None:
    """It wrote the text of each fault only; and it can read what this version writes, after a step back."""
    old = '{"format": 1, "source": "file:/etc/routing.yaml", "left": [["billing", "7", "dc1", 5, "no workers"]]}'
    (tmp_path / "failovers").write_text(old)
    fault = Fault(FaultKind.OTHER, text="no workers")
    assert load(tmp_path, SOURCE) == {(("billing", "7"), "dc1"): FailoverState(Phase.FAILED, 5, 5, fault)}
    save(tmp_path, SOURCE, LEFT)
    kept = json.loads((tmp_path / "failovers").read_text())
    assert (kept["format"], [entry[4] for entry in kept["left"]][:2]) == (1, ["no workers", "1 of 2 workers"])


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


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (Path.mkdir, "a directory"),
        (os.mkfifo, "a FIFO"),
        (lambda path: path.symlink_to("/dev/null"), "a symbolic link"),
        (lambda path: (path.write_bytes(b"{}"), path.chmod(0o666)), "everybody can write to it"),
    ],
)
def test_what_is_no_file_of_ours_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, put: Callable[[Path], object], reason: str
) -> None:
    """Whatever somebody put in place of the file neither decides nor blocks; the warning has the reason."""
    put(tmp_path / "failovers")
    assert load(tmp_path, SOURCE) == {}
    assert f"is not used: it is {reason}" in caplog.text or f"is not used: {reason}" in caplog.text


def test_each_failover_is_saved_and_a_full_disk_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover is on disk soon, other changes write nothing, and a disk that is full says so in the log."""
    keeper = FailoverStore(tmp_path, SOURCE)
    keeper.start()
    keeper.changed(view({}), view({}))
    keeper.changed(view({}), view(LEFT))
    eventually(lambda: load(tmp_path, SOURCE) == LEFT, "the failover on disk")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    keeper.changed(view(LEFT), view({}))
    keeper.stop(5)
    assert "a failover could not be saved" in caplog.text
