"""Files of the state directory: what is not ours, or could be somebody else's work, is refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sidecar.errors import StateFileRefused
from sidecar.state_file import make_state_folder, open_state_file, other_writers, read_state_file

MAX = 100


def private(folder: Path, content: bytes = b"content") -> Path:
    """Return a file as a sidecar writes it."""
    path = folder / "file"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def refusal(path: Path) -> str:
    """Return why a file is refused."""
    with pytest.raises(StateFileRefused) as refused:
        read_state_file(path, max_bytes=MAX)
    assert refused.value.filename == str(path)
    return str(refused.value.strerror)


def test_a_private_file_is_read(tmp_path: Path) -> None:
    """A file of this user is read whole; one that is readable by others is too."""
    path = private(tmp_path)
    assert read_state_file(path, max_bytes=MAX) == b"content"
    path.chmod(0o644)
    assert read_state_file(path, max_bytes=MAX) == b"content"


def test_a_missing_file_stays_one(tmp_path: Path) -> None:
    """A file that is not there is FileNotFoundError, which a first start expects."""
    with pytest.raises(FileNotFoundError):
        read_state_file(tmp_path / "file", max_bytes=MAX)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """A link is refused for reading and for writing, also one to a file of our own; its target stays as it was."""
    target = private(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert "a symbolic link" in refusal(link)
    assert "remove it" in refusal(link)
    with pytest.raises(StateFileRefused, match="a symbolic link"):
        open_state_file(link, os.O_WRONLY | os.O_CREAT)
    assert target.read_bytes() == b"content"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A FIFO, a socket and a directory are refused by kind; nothing waits for the other end of the FIFO."""
    fifo, sock = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(sock))
        assert "a socket" in refusal(sock)
    assert "a FIFO" in refusal(fifo)
    assert "a directory" in refusal(tmp_path)
    with pytest.raises(StateFileRefused, match="a FIFO"):
        open_state_file(fifo, os.O_WRONLY)


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """A file with write access for others is refused with its mode, though it is ours."""
    path = private(tmp_path)
    path.chmod(mode)
    assert f"mode {mode:04o}" in refusal(path)


def test_group_access_depends_on_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write access for a group is refused unless the group has the number of the owner: then it is private."""
    path = private(tmp_path)
    path.chmod(0o660)
    owner = path.stat().st_uid
    fstat = os.fstat

    def with_group(number: int) -> object:
        return lambda descriptor: os.stat_result((*fstat(descriptor)[:5], number, *fstat(descriptor)[6:]))

    monkeypatch.setattr(os, "fstat", with_group(owner))
    assert read_state_file(path, max_bytes=MAX) == b"content"
    monkeypatch.setattr(os, "fstat", with_group(owner + 1))
    assert f"group {owner + 1} can write" in refusal(path)


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that belongs neither to root nor to this user nor to the owner of its folder is refused."""
    path = private(tmp_path)
    fstat = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        return os.stat_result((*fstat(descriptor)[:4], 65_534, *fstat(descriptor)[5:]))

    monkeypatch.setattr(os, "fstat", foreign)
    assert "belongs to user 65534" in refusal(path)


def test_an_operator_reads_the_state_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is accepted whose owner also owns the folder, whoever reads it."""
    path = private(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert read_state_file(path, max_bytes=MAX) == b"content"


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """At most `max_bytes` are read into memory."""
    assert f"more than {MAX} bytes" in refusal(private(tmp_path, b"x" * (MAX + 1)))
    assert read_state_file(private(tmp_path, b"x" * MAX), max_bytes=MAX) == b"x" * MAX


def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """Created files and folders give no access to others, even under umask 0."""
    umask = os.umask(0)
    try:
        os.close(open_state_file(tmp_path / "new", os.O_WRONLY | os.O_CREAT))
        make_state_folder(tmp_path / "folder" / "deep")
    finally:
        os.umask(umask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "folder" / "deep").stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """Files are not put into the folder that a link names."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "audit").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateFileRefused, match="a symbolic link"):
        make_state_folder(tmp_path / "audit")


def test_who_could_write_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private folder and one that others may read have no other writers; mode 0777 and another owner are named."""
    for mode in (0o700, 0o755):
        tmp_path.chmod(mode)
        assert other_writers(tmp_path) == ""
    tmp_path.chmod(0o1777)
    assert other_writers(tmp_path) == "everybody can write to it (mode 1777)"
    tmp_path.chmod(0o700)
    if owner := tmp_path.stat().st_uid:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        assert other_writers(tmp_path) == f"it belongs to user {owner}"


def test_a_folder_that_others_may_write_by_permission_has_such_files(tmp_path: Path) -> None:
    """In a folder that others can write, which the start allowed or refused, the mode of a file adds nothing."""
    path = private(tmp_path)
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    assert read_state_file(path, max_bytes=MAX) == b"content"
