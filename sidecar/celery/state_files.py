"""The last known routes and workers in files that the processes of a host share, also over their restarts."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from sidecar.atomic_file import replace_file
from sidecar.client import RouteUpdate
from sidecar.state_file import make_state_folder, open_state_file, read_state_file

log = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_BYTES = 64 * 1024 * 1024
_ROUTES, _WORKERS, _LOCK = "routes.json", "workers.json", "observer.lock"


class StateFiles:
    """The files of an application in a folder. A file that cannot be read or written is logged and does without."""

    def __init__(self, folder: Path, application: str) -> None:
        self._folder = folder / application.replace("/", "_").lstrip(".")
        self._lock: int | None = None
        self._read: dict[str, int] = {}
        self._warned = False

    def load_routes(self) -> RouteUpdate | None:
        """Return the routes, None unless there are newer ones than at the last call."""
        content = self._load(_ROUTES)
        return None if content is None else self._decoded(content, RouteUpdate)

    def save_routes(self, update: RouteUpdate) -> None:
        """Save the routes."""
        self._save(_ROUTES, msgspec.json.encode(update))

    def load_workers(self) -> dict[str, list[str]] | None:
        """Return the queues that each worker consumes, None unless there is a newer file than at the last call."""
        content = self._load(_WORKERS)
        return None if content is None else self._decoded(content, dict[str, list[str]])

    def save_workers(self, consumed: dict[str, tuple[str, ...]]) -> None:
        """Save the queues that each worker consumes."""
        self._save(_WORKERS, msgspec.json.encode(consumed))

    def observes(self) -> bool:
        """Return whether this process inspects the workers for all of the host's; the lock is kept until it ends."""
        if self._lock is not None:
            return True
        try:
            make_state_folder(self._folder)
            descriptor = open_state_file(self._folder / _LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            self._warn(error)
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def forget_parent(self) -> None:
        """Close the files that a forked process inherited: its parent still has the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _load(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            modified = path.stat().st_mtime_ns
            if self._read.get(name) == modified:
                return None
            self._read[name] = modified
            return read_state_file(path, max_bytes=_MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(error)
            return None

    def _decoded(self, content: bytes, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s: ignored: %s", self._folder, error)
            return None

    def _save(self, name: str, content: bytes) -> None:
        try:
            replace_file(self._folder, name, content, sync_rename=False)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "%s: not usable, the last known routes are lost at a restart: %s", self._folder, error.strerror or error
            )
