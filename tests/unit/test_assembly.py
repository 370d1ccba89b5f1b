"""The parts of a sidecar are connected, and started and stopped together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.request import urlopen

import pytest

from sidecar import config
from sidecar.assembly import Sidecar
from sidecar.audit.journal_reader import FOLDER, newest_first
from sidecar.errors import ConfigError
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.snapshot import Snapshot, save
from sidecar.sources.file import FileSource
from tests.harness import Client
from tests.waiting import eventually


def test_a_change_reaches_every_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new document gets to calls, log, snapshot, audit, reactions and the page, and tasks to the metrics."""
    caplog.set_level("INFO", "sidecar")
    document, state, told = tmp_path / "routing.yaml", tmp_path / "state", tmp_path / "told.json"
    document.write_text("dc1")
    reaction = {"name": "note", "command": ["dd", f"of={told}", "status=none"]}
    flags = ["--source", f"file:{document}", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    settings = config.load([*flags, "--state-dir", str(state), "--reactions", json.dumps([reaction])], {})
    sidecar = Sidecar(settings)
    address, page = sidecar.start()
    try:
        sidecar.watch()
        with Client(address) as client:
            first = eventually(lambda: client.status().revision, "a document in force")
            document.write_text("dc2")
            second = eventually(lambda: (now := client.status().revision) != first and now, "the second document")
        kept = state / "snapshot"
        eventually(
            lambda: kept.is_file() and kept.read_bytes().endswith(b"\ndc2"), "the second document in the snapshot"
        )
        eventually(lambda: [each.changed for each in newest_first(state / FOLDER)][:1] == [second], "it in the audit")
        eventually(lambda: told.is_file() and told.read_text().endswith("}"), "the reaction")
        assert json.loads(told.read_text())["revision"] == second
        with urlopen(f"{page}/v1/changes") as answer:
            assert json.load(answer)["changes"][0]["revision"] == second
        with urlopen(f"{page}/metrics") as answer:
            metrics = answer.read().decode()
        assert 'dc_sidecar_task_done_total{task="reaction note"}' in metrics
        assert 'dc_sidecar_task_done_total{task="audit"}' in metrics
        assert "dc1 → dc2" in caplog.text
    finally:
        sidecar.stop(10)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "worker processes"])
def test_a_document_beyond_the_memory_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: Sequence[str]
) -> None:
    """By --max-memory, which processes share, a document is refused; the one before decides on, a snapshot too."""
    caplog.set_level("INFO", "sidecar")
    document, state = tmp_path / "routing.yaml", tmp_path / "state"
    large = ("default: dc3\napps:\n" + "".join(f"  {number:x}: dc3\n" for number in range(8000))).encode()
    save(state, f"file:{document}", Snapshot(large, 7, ()))
    document.write_text("dc1")
    flags = ["--source", f"file:{document}", "--listen", "127.0.0.1:0", "--state-dir", str(state), *workers]
    sidecar = Sidecar(config.load([*flags, "--max-memory", "48MiB"], {}))
    assert "the snapshot is not used: apps." in caplog.text
    (address,) = sidecar.start()
    try:
        sidecar.watch()
        with Client(address) as client:
            first = eventually(lambda: client.status().revision, "a document in force")
            document.write_bytes(large)
            eventually(lambda: client.status().source_state == pb.SOURCE_STATE_REJECTED, "the refusal")
            refused = client.status()
            assert refused.revision == first
            assert "MiB are allowed" in refused.source_error
    finally:
        sidecar.stop(10)


def test_a_source_gets_the_versions_of_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that may answer with an earlier text is resumed, before it starts, at the versions of the snapshot."""
    resumed: list[Sequence[str]] = []
    monkeypatch.setattr(FileSource, "resume", lambda _, versions: resumed.append(versions), raising=False)
    save(tmp_path / "state", f"file:{tmp_path}/routing.yaml", Snapshot(b"dc1", 7, ("a", "b")))
    flags = ["--source", f"file:{tmp_path}/routing.yaml", "--listen", "127.0.0.1:0", "--state-dir", f"{tmp_path}/state"]
    Sidecar(config.load(flags, {}))
    assert resumed == [("a", "b")]


def test_a_part_that_cannot_be_stopped_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A part whose stop raises is logged, and all others still stop and save what is to be saved."""
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
    assert "HealthChecks could not be stopped; the other parts are" in caplog.text
    assert not sidecar._table._thread.is_alive()
    assert (tmp_path / "state" / "snapshot").read_bytes().endswith(b"\ndc1")


def test_a_state_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """What is in the directory decides after a restart, so others must not write to it, unless that is allowed."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    flags = ["--source", f"file:{tmp_path}/routing.yaml", "--listen", "127.0.0.1:0", "--state-dir", str(state)]
    with pytest.raises(ConfigError, match=r"mode 0777.*--allow-shared-state-dir"):
        Sidecar(config.load(flags, {}))
    Sidecar(config.load([*flags, "--allow-shared-state-dir"], {}))
    state.chmod(0o755)
    Sidecar(config.load(flags, {}))


def test_a_state_directory_may_be_a_link_and_is_created_private(tmp_path: Path) -> None:
    """The path that an operator configured is followed; a directory that is not there is made for this user alone."""
    (tmp_path / "link").symlink_to(tmp_path / "state")
    flags = ["--source", f"file:{tmp_path}/routing.yaml", "--listen", "127.0.0.1:0"]
    Sidecar(config.load([*flags, "--state-dir", str(tmp_path / "link")], {}))
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_xds_needs_one_process(tmp_path: Path) -> None:
    """With several worker processes it is refused, with the remedy."""
    flags = ["--source", f"file:{tmp_path}/routing.yaml", "--listen", "127.0.0.1:0", "--xds", "--workers", "2"]
    with pytest.raises(ConfigError, match="expected --workers 1"):
        Sidecar(config.load(flags, {}))


def test_endpoints_need_xds(tmp_path: Path) -> None:
    """By themselves they would not be served to anybody."""
    flags = [
        "--source",
        f"file:{tmp_path}/routing.yaml",
        "--listen",
        "127.0.0.1:0",
        "--xds-endpoints",
        "endpoints.yaml",
    ]
    with pytest.raises(ConfigError, match="--xds-endpoints: expected --xds beside it"):
        Sidecar(config.load(flags, {}))
