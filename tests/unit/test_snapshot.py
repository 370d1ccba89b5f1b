import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.errors import SnapshotUnusable
from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.model import RoutingDocument
from sidecar.snapshot import Snapshot, SnapshotStore, load, save
from sidecar.view import LoadedDocument, View
from tests.waiting import eventually

SOURCE = "file:/etc/routing.yaml"
KEPT = Snapshot(b"default: dc1\n# \xff\x00 any bytes\n", 1_700_000_000_000_000_000, ("v1", "v2"))


def view(text: bytes, *, from_snapshot: bool = False, version: str = "v") -> View:
    """Return a view that serves a text."""
    return View(
        state=None,
        source=LoadedDocument(text, RoutingDocument("0123")),
        status=SourceStatus(state=SourceState.SYNCED, applied_at_ns=7, from_snapshot=from_snapshot, version=version),
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A snapshot is loaded byte for byte, with its time; a missing folder is created."""
    folder = tmp_path / "state" / "deep"
    save(folder, SOURCE, KEPT)
    assert load(folder, SOURCE) == KEPT


def test_none_is_no_error(tmp_path: Path) -> None:
    """A folder without a snapshot, or no folder at all, is a first start."""
    assert load(tmp_path, SOURCE) is None
    assert load(tmp_path / "absent", SOURCE) is None


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """The state folder is made for its owner alone, as documents name hosts and people."""
    save(tmp_path / "state", SOURCE, KEPT)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_torn_one_is_refused(tmp_path: Path, cut: int) -> None:
    """A snapshot of which bytes are missing is said to be unusable, wherever it was torn."""
    save(tmp_path, SOURCE, KEPT)
    path = tmp_path / "snapshot"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SnapshotUnusable, match=r"torn|no snapshot"):
        load(tmp_path, SOURCE)


def test_one_changed_bit_is_found(tmp_path: Path) -> None:
    """The digest is checked: a snapshot with the right length and other bytes is unusable."""
    save(tmp_path, SOURCE, KEPT)
    path = tmp_path / "snapshot"
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)
    with pytest.raises(SnapshotUnusable, match="torn"):
        load(tmp_path, SOURCE)


def test_one_of_another_source_is_not_used(tmp_path: Path) -> None:
    """A sidecar that was pointed at another key does not serve the old key's routes."""
    save(tmp_path, SOURCE, KEPT)
    with pytest.raises(SnapshotUnusable, match=r"another source, file:/etc/routing\.yaml"):
        load(tmp_path, "file:/etc/other.yaml")


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (Path.mkdir, "a directory"),
        (os.mkfifo, "a FIFO"),
        (lambda path: path.symlink_to(path.rename(path.with_name("else"))), "a symbolic link"),
        (lambda path: path.chmod(0o666), "everybody can write"),
        (lambda path: os.truncate(path, 100 * 2**20), "more than"),
    ],
)
def test_one_that_somebody_else_may_have_put_there_is_not_used(
    tmp_path: Path, put: Callable[[Path], object], reason: str
) -> None:
    """A valid snapshot behind a link or open to others is refused, as is what blocks or fills memory: by its reason."""
    path = tmp_path / "snapshot"
    save(tmp_path, SOURCE, KEPT)
    if put in (Path.mkdir, os.mkfifo):
        path.unlink()
    put(path)
    with pytest.raises(SnapshotUnusable, match=reason):
        load(tmp_path, SOURCE)


@pytest.mark.parametrize(
    "text",
    [
        b"[]\n",
        b"{}\n",
        b"null\n",
        b"not json\n",
        b'{"format": 1, "sha256": 3}\n',
        b'{"applied_at_ns": Infinity}\n',
        b'{"applied_at_ns": 1, "versions": {"a": 1}}\n',
        b'{"applied_at_ns": 1, "versions": [1]}\n',
        b"",
    ],
)
def test_foreign_files_are_no_snapshots(tmp_path: Path, text: bytes) -> None:
    """Any other file in its place is unusable, never an error of ours."""
    (tmp_path / "snapshot").write_bytes(text)
    with pytest.raises(SnapshotUnusable):
        load(tmp_path, SOURCE)


def test_the_keeper_saves_what_is_taken_over(tmp_path: Path) -> None:
    """Each document taken over from the source is saved; one that came from the snapshot is not saved again."""
    keeper = SnapshotStore(tmp_path, SOURCE)
    keeper.start()
    keeper.changed(view(b""), view(b"default: dc1", from_snapshot=True))
    keeper.changed(view(b"default: dc1", from_snapshot=True), view(b"default: dc2"))
    eventually(lambda: load(tmp_path, SOURCE) == Snapshot(b"default: dc2", 7, ("v",)), "the document on disk")
    keeper.stop(5)


def test_the_versions_that_were_in_force_are_kept(tmp_path: Path) -> None:
    """Each version once, the newest last, those before a restart among them; bounded in number and length."""
    keeper = SnapshotStore(tmp_path, SOURCE)
    keeper.resume(["v0", "v1", "v2"])
    keeper.start()
    keeper.changed(view(b"a"), view(b"b", version="v1"))
    keeper.changed(view(b"b"), view(b"c", version="x" * 300))
    for number in range(3, 65):
        keeper.changed(view(b"c"), view(b"d", version=f"v{number}"))
    keeper.stop(5)
    found = load(tmp_path, SOURCE)
    assert found is not None
    assert found.versions == ("v2", "v1", *(f"v{number}" for number in range(3, 65)))


def test_a_snapshot_without_versions_is_used(tmp_path: Path) -> None:
    """A snapshot of an earlier dc-sidecar has none."""
    save(tmp_path, SOURCE, KEPT)
    path = tmp_path / "snapshot"
    path.write_bytes(path.read_bytes().replace(b', "versions": ["v1", "v2"]', b""))
    assert load(tmp_path, SOURCE) == Snapshot(KEPT.text, KEPT.applied_at_ns)


def test_stopping_saves_what_is_waiting(tmp_path: Path) -> None:
    """A document that was taken over just before the end is on disk after `stop`."""
    keeper = SnapshotStore(tmp_path, SOURCE)
    keeper.start()
    keeper.changed(view(b""), view(b"default: dc3"))
    keeper.stop(5)
    assert load(tmp_path, SOURCE) == Snapshot(b"default: dc3", 7, ("v",))


def test_a_full_disk_is_a_warning_and_the_next_document_is_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed save is logged, the next document is saved, and the old snapshot stays intact meanwhile."""
    save(tmp_path, SOURCE, KEPT)
    full = True
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    keeper = SnapshotStore(tmp_path, SOURCE)
    keeper.start()
    keeper.changed(view(b""), view(b"default: dc2"))
    eventually(lambda: "could not be saved" in caplog.text, "the warning")
    assert load(tmp_path, SOURCE) == KEPT
    full = False
    keeper.changed(view(b"default: dc2"), view(b"default: dc3"))
    eventually(lambda: load(tmp_path, SOURCE) == Snapshot(b"default: dc3", 7, ("v",)), "the next document on disk")
    keeper.stop(5)
