from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watchdog.events import DirModifiedEvent, FileCreatedEvent, FileOpenedEvent

from sidecar.errors import ConfigError, SourceError, WriteConflict
from sidecar.sources import file, file_watch, open_source
from sidecar.sources.base import Content, Missing
from sidecar.sources.file_path import resolve_path
from sidecar.sources.file_watch import PathWatcher
from tests.waiting import eventually


def source_at(path: Path) -> file.FileSource:
    """Open the source of `path`."""
    return file.open_source(f"file:{path}", {})


def content_at(path: Path) -> Content:
    """Read what is at `path`, which must be a text."""
    seen = source_at(path).read(5)
    assert isinstance(seen, Content)
    return seen


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("file:/etc/x.yaml", "file:/etc/x.yaml"),
        ("file:///etc/x.yaml", "file:/etc/x.yaml"),
        ("file://localhost/etc/x.yaml", "file:/etc/x.yaml"),
        ("file:////etc//x.yaml", "file:/etc/x.yaml"),
        ("file:conf/x.yaml", "file:{cwd}/conf/x.yaml"),
        ("file:../x.yaml", "file:{cwd}/../x.yaml"),
        ("file:/etc/100% my?file#1.yaml", "file:/etc/100% my?file#1.yaml"),
    ],
)
def test_a_url_names_a_path_as_written(url: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute, relative and three-slash URLs are understood, and shown as an absolute path."""
    monkeypatch.chdir(tmp_path)
    assert open_source(url, {"nacos-username": "for another source"}).url == shown.format(cwd=tmp_path)


@pytest.mark.parametrize("url", ["file:", "file:/", "file:/etc/", "file://", "file:///", "file:/etc/x\0y"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    """A URL that names a directory or nothing is refused, with an example of a good one."""
    with pytest.raises(ConfigError, match="file:/"):
        file.open_source(url, {})


def test_a_url_with_a_host_is_refused_without_repeating_it() -> None:
    """A host, perhaps with credentials, is refused and not shown."""
    with pytest.raises(ConfigError, match="names a host") as refused:
        file.open_source("file://user:secret@host/etc/x.yaml", {})
    assert "secret" not in str(refused.value)


def test_a_file_has_no_history(tmp_path: Path) -> None:
    """A file system keeps the newest text only, and the source says so."""
    assert open_source(f"file:{tmp_path}/routing.yaml", {}).history is None


def test_read_returns_the_text_and_its_digest(tmp_path: Path) -> None:
    """The version is the SHA-256 of the bytes."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfdc1\r\n")
    assert content_at(path) == Content(b"\xef\xbb\xbfdc1\r\n", hashlib.sha256(b"\xef\xbb\xbfdc1\r\n").hexdigest())


def test_read_tells_what_is_missing(tmp_path: Path) -> None:
    """No file, no directory, a dangling link, a file as a directory, an empty file: Missing, with its reason."""
    there = tmp_path / "there"
    there.write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    assert source_at(tmp_path / "x").read(5) == Missing(f"{tmp_path}/x does not exist")
    assert source_at(tmp_path / "a" / "x").read(5) == Missing(
        f"{tmp_path}/a/x does not exist: there is no {tmp_path}/a"
    )
    assert source_at(tmp_path / "link").read(5) == Missing(
        f"{tmp_path}/link does not exist: there is no {tmp_path}/nowhere"
    )
    assert isinstance(source_at(there / "x").read(5), Missing)
    assert source_at(there).read(5) == Missing(f"{there} is empty")


def test_read_refuses_what_is_no_file(tmp_path: Path) -> None:
    """A directory is an error that says what it found and what it expected."""
    with pytest.raises(SourceError, match="is a directory, expected a regular file"):
        source_at(tmp_path).read(5)


def test_read_gives_up_in_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that hangs costs the caller no more than its timeout."""
    over = threading.Event()

    def hang(_: Path) -> Missing:
        over.wait(30)
        return Missing("late")

    monkeypatch.setattr(file, "_read_file", hang)
    began = time.monotonic()
    with pytest.raises(SourceError, match="hang"):
        source_at(tmp_path / "x").read(0.05)
    assert time.monotonic() - began < 5
    over.set()


def test_read_cuts_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than the limit is read, and of a file at the limit all."""
    monkeypatch.setattr(file, "READ_LIMIT", 5)
    (tmp_path / "x").write_bytes(b"123456789")
    assert content_at(tmp_path / "x").text == b"123456"
    (tmp_path / "x").write_bytes(b"12345")
    assert content_at(tmp_path / "x").text == b"12345"


def test_write_replaces_what_was_read(tmp_path: Path) -> None:
    """A write at the version read returns the new version, and keeps the mode."""
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    path.chmod(0o640)
    version = source_at(path).write(b"dc2", content_at(path).version, 5)
    assert content_at(path) == Content(b"dc2", version)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_write_keeps_the_owner(tmp_path: Path) -> None:
    """A file that root edits keeps its owner."""
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    os.chown(path, 1234, 4321)
    source_at(path).write(b"dc2", content_at(path).version, 5)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_write_refuses_another_version(tmp_path: Path) -> None:
    """A version that is not there any more, or a file where none was expected: refused, and nothing is written."""
    path = tmp_path / "x.yaml"
    with pytest.raises(WriteConflict, match="at version none"):
        source_at(path).write(b"mine", "0" * 64, 5)
    assert list(tmp_path.iterdir()) == []
    path.write_text("theirs")
    for expected in (None, "0" * 64):
        with pytest.raises(WriteConflict, match="read it again"):
            source_at(path).write(b"mine", expected, 5)
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_write_makes_a_file_that_is_missing_or_empty(tmp_path: Path) -> None:
    """What `read` called missing is written with no expected version."""
    for path in (tmp_path / "x.yaml", tmp_path / "empty.yaml"):
        if path.name == "empty.yaml":
            path.touch()
        source_at(path).write(b"dc1", None, 5)
        assert path.read_text() == "dc1"
    with pytest.raises(SourceError, match="make its directory first"):
        source_at(tmp_path / "a" / "x.yaml").write(b"dc1", None, 5)


def test_write_follows_links(tmp_path: Path) -> None:
    """The link stays a link; the file it leads to is replaced, where that is."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.yaml").write_text("dc1")
    (tmp_path / "dir").symlink_to("real")
    path = tmp_path / "x.yaml"
    path.symlink_to("dir/x.yaml")
    source_at(path).write(b"dc2", content_at(path).version, 5)
    assert path.is_symlink()
    assert (tmp_path / "real" / "x.yaml").read_text() == "dc2"


def test_write_refuses_a_configmap(tmp_path: Path) -> None:
    """A file of a Kubernetes volume is not written, as kubelet would undo it; the error says what to change instead."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "x.yaml").write_text("dc1")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "x.yaml").symlink_to("..data/x.yaml")
    with pytest.raises(SourceError, match="change its ConfigMap"):
        source_at(tmp_path / "x.yaml").write(b"dc2", content_at(tmp_path / "x.yaml").version, 5)


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EROFS, "read-only"), (errno.ENOSPC, "room"), (errno.EIO, "rights")]
)
def test_a_write_that_fails_leaves_the_old_text(
    call: str, number: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, a read-only file system, an I/O error: SourceError with what to do, the old text, no leftover."""
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    seen = content_at(path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(SourceError, match=remedy):
        source_at(path).write(b"dc2", seen.version, 5)
    assert path.read_text() == "dc1"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("edit", [lambda path: path.write_text("theirs"), lambda path: path.unlink()])
def test_an_edit_between_reading_and_writing_is_not_lost(
    edit: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor, which takes no lock, saves while the new text goes to disk: the write is refused."""
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    seen = content_at(path)
    to_disk = os.fsync

    def edited_meanwhile(descriptor: int) -> None:
        edit(path)
        to_disk(descriptor)

    monkeypatch.setattr(os, "fsync", edited_meanwhile)
    with pytest.raises(WriteConflict):
        source_at(path).write(b"mine", seen.version, 5)
    assert not path.exists() or path.read_text() == "theirs"


def test_a_link_swapped_during_a_write_is_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write never goes through a link that was changed meanwhile, even if the texts are equal."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.yaml").write_text("dc1")
    (tmp_path / "link").symlink_to("a")
    path = tmp_path / "link" / "x.yaml"
    seen = content_at(path)
    to_disk = os.fsync

    def swapped_meanwhile(descriptor: int) -> None:
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("b")
        to_disk(descriptor)

    monkeypatch.setattr(os, "fsync", swapped_meanwhile)
    with pytest.raises(WriteConflict):
        source_at(path).write(b"dc2", seen.version, 5)
    assert {(tmp_path / name / "x.yaml").read_text() for name in "ab"} == {"dc1"}


def test_the_way_goes_through_every_link(tmp_path: Path) -> None:
    """Entries come in the kernel's order, `..` after a link means the parent of where it leads."""
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "x.yaml").write_text("dc1")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "link").symlink_to(tmp_path / "deep" / "down")
    way = resolve_path(tmp_path / "etc" / "link" / ".." / "x.yaml")
    below = [
        entry.relative_to(tmp_path) for entry in way.entries if entry.is_relative_to(tmp_path) and entry != tmp_path
    ]
    assert list(map(str, below)) == ["etc", "etc/link", "deep", "deep/down", "deep/x.yaml"]
    assert way.directories == {tmp_path / "etc", tmp_path / "deep", tmp_path}


def test_the_way_ends_where_nothing_is(tmp_path: Path) -> None:
    """Of a path that does not exist yet, the last directory that does is watched, and links in a circle end."""
    assert resolve_path(tmp_path / "a" / "b").entries[-1] == tmp_path / "a"
    assert tmp_path in resolve_path(tmp_path / "a" / "b").directories
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert resolve_path(tmp_path / "a").directories >= {tmp_path}


def test_only_what_lies_on_the_way_wakes(tmp_path: Path) -> None:
    """Neighbours, readers and the directory's own modification time do not; the file does."""
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    wake = threading.Event()
    watcher = PathWatcher(path, wake)
    assert watcher.update()
    try:
        for event in (
            FileCreatedEvent(f"{tmp_path}/neighbour"),
            FileOpenedEvent(str(path)),
            DirModifiedEvent(str(tmp_path)),
        ):
            watcher.dispatch(event)
        assert not wake.is_set()
        watcher.dispatch(FileCreatedEvent(os.fsencode(path)))
        assert wake.is_set()
        assert not watcher.update()
    finally:
        watcher.close()


def test_a_directory_made_anew_under_the_same_inode_number_is_watched_anew(tmp_path: Path) -> None:
    """A directory removed and made again between two looks may look the same; it is heard all the same."""
    path = tmp_path / "etc" / "x.yaml"
    path.parent.mkdir()
    path.write_text("dc1")
    wake = threading.Event()
    watcher = PathWatcher(path, wake)
    watcher.update()
    try:
        for _ in range(50):
            before = path.parent.stat().st_ino
            shutil.rmtree(path.parent)
            path.parent.mkdir()
            if path.parent.stat().st_ino == before:
                break
            watcher.update()
        else:
            pytest.skip("this file system does not use inode numbers again")
        eventually(lambda: str(path.parent) in watcher._replaced, "news of the directory")
        watcher.update()
        wake.clear()
        path.write_text("dc2")
        assert wake.wait(5)
    finally:
        watcher.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC])
def test_a_refusal_to_watch_is_said_once_and_tried_again_later(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Used up instances or watches: one warning; nothing is tried for a while; once it succeeds, that is said."""
    caplog.set_level("INFO")
    tries = 0

    def refuse() -> None:
        nonlocal tries
        tries += 1
        raise OSError(number, "limit reached")

    watcher = PathWatcher(tmp_path / "x.yaml", threading.Event())
    with monkeypatch.context() as patched:
        patched.setattr(file_watch, "_Observer", refuse)
        assert not watcher.update()
        assert not watcher.update()
        watcher._refused_until = 0.0
        assert not watcher.update()
    assert tries == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "max_user_instances" in caplog.text
    watcher._refused_until = 0.0
    assert watcher.update()
    watcher.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_stop_without_start_is_nothing(tmp_path: Path) -> None:
    """A source that was only read may be stopped."""
    source_at(tmp_path / "x").stop(1)
