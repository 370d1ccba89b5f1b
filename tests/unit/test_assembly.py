"""The parts of a sidecar are started and ended together, whatever one of them does."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar import config
from sidecar.assembly import Sidecar
from tests.harness import Client
from tests.waiting import eventually


def test_a_part_that_cannot_be_stopped_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect in one part's end is logged, and all the others end as ever: what was to be saved is saved."""
    (tmp_path / "routing.yaml").write_text("dc1")
    flags = ["--source", f"file:{tmp_path}/routing.yaml", "--listen", "127.0.0.1:0", "--state-dir", f"{tmp_path}/state"]
    sidecar = Sidecar(config.load(flags, {}))
    (address,) = sidecar.start()
    sidecar.watch()
    with Client(address) as client:
        eventually(lambda: client.status().revision, "a document in force")

    def broken(_: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sidecar._health, "stop", broken)
    sidecar.stop(10)
    assert "HealthChecks could not be stopped; the rest is" in caplog.text
    assert not sidecar._table._thread.is_alive()
    assert (tmp_path / "state" / "snapshot").read_bytes().endswith(b"\ndc1")
