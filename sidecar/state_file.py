"""Opens the files of a state directory: follows no link, waits for nothing, and refuses what others can write.

A file of the state directory decides after a restart. So it must be a regular file that only root, this user or the
owner of its directory can have written; docs/security.md describes who is trusted.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from sidecar.errors import StateFileRefused

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# What Linux and BSD say of a link, and of a socket or a FIFO without a reader.
_NO_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EOPNOTSUPP})


def open_state_file(path: Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a file. With O_CREAT in `flags` it is created for its owner alone. Raises OSError."""
    try:
        descriptor = os.open(path, flags | _FLAGS, 0o600)
    except OSError as error:
        if error.errno in _NO_FILE:
            _check_kind(path, path.lstat().st_mode)
        raise
    try:
        _check_file(path, os.fstat(descriptor), path.parent.stat())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_state_file(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a file. Raises OSError; StateFileRefused if it is longer than `max_bytes`."""
    with os.fdopen(open_state_file(path), "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise StateFileRefused(errno.EFBIG, f"it has more than {max_bytes} bytes: remove it", str(path))
    return content


def make_state_folder(folder: Path) -> None:
    """Create a folder for its owner alone, unless it exists. Raises OSError; StateFileRefused where it is no folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise StateFileRefused(
            errno.ENOTDIR, f"it is {_kind(found.st_mode)}, expected a directory: remove it", str(folder)
        )


def other_writers(folder: Path) -> str:
    """Return who, beside root and this user, could write to a folder and how, "" for nobody. Raises OSError."""
    found = folder.stat()
    if found.st_uid not in {0, os.geteuid()}:
        return f"it belongs to user {found.st_uid}"
    return _writers(found)


def _check_file(path: Path, found: os.stat_result, folder: os.stat_result) -> None:
    _check_kind(path, found.st_mode)
    _check_owner(path, found, folder)
    # Who can write to the folder could replace the file: whether that is allowed is decided at the start.
    if not _writers(folder) and (writers := _writers(found)):
        raise StateFileRefused(errno.EPERM, f"{writers}: remove it, or chmod go-w if its content is right", str(path))


def _check_owner(path: Path, found: os.stat_result, folder: os.stat_result) -> None:
    # An operator may read the directory of a sidecar that another user runs.
    if found.st_uid not in {0, os.geteuid(), folder.st_uid}:
        reason = f"it belongs to user {found.st_uid}: remove it, or chown it if its content is right"
        raise StateFileRefused(errno.EPERM, reason, str(path))


def _writers(found: os.stat_result) -> str:
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH:
        return f"everybody can write to it (mode {mode:04o})"
    # The private group of a user has the user's number, and so has the chart's fsGroup, which Kubernetes lets write.
    if mode & stat.S_IWGRP and found.st_gid not in {found.st_uid, os.geteuid()}:
        return f"group {found.st_gid} can write to it (mode {mode:04o})"
    return ""


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise StateFileRefused(errno.EINVAL, f"it is {_kind(mode)}, expected a regular file: remove it", str(path))


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISREG, "a file"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return name
    return "a device"
