"""Files are replaced atomically, in the way that each caller needs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sidecar.atomic_file import Saver, replace_file
from tests.waiting import eventually


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is flushed to disk, in order, by the paths that it has at that moment."""
    paths: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    return paths


def test_a_missing_folder_is_created_for_its_owner(tmp_path: Path) -> None:
    """The folder and its parents are created; nobody else may look into it."""
    replace_file(tmp_path / "state" / "audit", "head", b"new")
    assert (tmp_path / "state" / "audit" / "head").read_bytes() == b"new"
    assert (tmp_path / "state" / "audit").stat().st_mode & 0o777 == 0o700


def test_content_is_on_disk_before_it_gets_its_name(tmp_path: Path, synced: list[str]) -> None:
    """The temporary file is flushed before the rename, the folder after it, and nothing is left beside."""
    replace_file(tmp_path, "head", b"old")
    replace_file(tmp_path, "head", b"new")
    assert synced == [".head.new", tmp_path.name] * 2
    assert (tmp_path / "head").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


def test_the_rename_need_not_be_flushed(tmp_path: Path, synced: list[str]) -> None:
    """Without `sync_rename` the content is flushed and the folder is not."""
    replace_file(tmp_path, "head", b"new", sync_rename=False)
    assert synced == [".head.new"]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Fail each flush as a full disk does; `undo` makes room."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    return monkeypatch


def test_a_failure_leaves_the_old_content(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A full disk is an OSError; the file still has its old content, and the next attempt succeeds."""
    replace_file(tmp_path, "head", b"old")
    full_disk = request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="No space left on device"):
        replace_file(tmp_path, "head", b"new")
    assert (tmp_path / "head").read_bytes() == b"old"
    full_disk.undo()
    replace_file(tmp_path, "head", b"new")
    assert (tmp_path / "head").read_bytes() == b"new"


def test_a_file_of_a_killed_process_is_overwritten(tmp_path: Path) -> None:
    """A longer temporary file, left behind by a kill, leaves no tail in the new content."""
    (tmp_path / ".head.new").write_bytes(b"a longer content than the new one")
    replace_file(tmp_path, "head", b"new")
    assert (tmp_path / "head").read_bytes() == b"new"


def test_links_are_replaced_and_not_followed(tmp_path: Path) -> None:
    """Neither a link in place of the temporary file nor one in place of the file itself is written through."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    for name in (".head.new", "head"):
        (tmp_path / name).symlink_to(victim)
    replace_file(tmp_path, "head", b"new")
    assert victim.read_bytes() == b"untouched"
    assert not (tmp_path / "head").is_symlink()
    assert (tmp_path / "head").read_bytes() == b"new"


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The mode is 0600 whatever the umask, also where the old file could be read by others."""
    (tmp_path / "head").write_bytes(b"old")
    (tmp_path / "head").chmod(0o644)
    umask = os.umask(0)
    try:
        replace_file(tmp_path, "head", b"new")
    finally:
        os.umask(umask)
    assert (tmp_path / "head").stat().st_mode & 0o777 == 0o600


def test_a_saver_reports_its_failures(tmp_path: Path, full_disk: pytest.MonkeyPatch) -> None:
    """The status counts failures, says whether the last attempt failed, and when the last one succeeded."""
    saver: Saver[bytes] = Saver("value", lambda value: replace_file(tmp_path, "value", value), loss="value not saved")
    assert (saver.status().saved_ns, saver.status().failures, saver.status().failing) == (0, 0, False)
    saver.start()
    saver.put(b"1")
    eventually(lambda: saver.status().failing, "the failure in the status")
    assert (saver.status().saved_ns, saver.status().failures) == (0, 1)
    full_disk.undo()
    saver.put(b"2")
    saver.stop(5)
    assert (saver.status().failing, saver.status().failures) == (False, 1)
    assert saver.status().saved_ns > 0
    assert (tmp_path / "value").read_bytes() == b"2"
