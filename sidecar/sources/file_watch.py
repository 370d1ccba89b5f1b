"""Hints that a file may hold another text now: where its path leads, and watchdog on the directories that decide it."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter, InotifyObserver
    from watchdog.observers.inotify_c import InotifyConstants as Inotify
    from watchdog.observers.inotify_c import Mask

    class _Emitter(InotifyEmitter):
        """Hears what arrives and what is finished.

        Not what is moved away: watchdog holds each departure back for half a second, to pair it with an arrival, and
        every event behind it. Not what is opened: our own reading would wake us. Not what is being written: its close
        says when.
        """

        def get_event_mask_from_filter(self) -> Mask:
            arrivals = Inotify.IN_CREATE | Inotify.IN_MOVED_TO | Inotify.IN_CLOSE_WRITE
            return Mask(arrivals | Inotify.IN_ATTRIB | Inotify.IN_DELETE | Inotify.IN_DELETE_SELF)

    class _Observer(InotifyObserver):
        def __init__(self) -> None:
            super().__init__()
            self._emitter_class = _Emitter
else:
    from watchdog.observers import Observer as _Observer

log = logging.getLogger(__name__)

# Watchdog reports lost events, and its own races at a stop, as errors: nothing that an operator could mend, or need.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)

_LINKS = 40
"""As many symbolic links as the kernel follows before it gives up."""

_TRY_AGAIN = 30.0
"""Seconds until watching is tried again where the system refused it."""

_IGNORED = frozenset({"opened", "closed_no_write"})


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """How a path is resolved: the entries it goes through, in order, and the directories that can lead it elsewhere."""

    entries: tuple[Path, ...]
    directories: frozenset[Path]


def resolve_path(path: Path) -> ResolvedPath:
    """Walk the absolute `path` as the kernel does, link by link, to its file or to the first entry that is not there.

    The directories are those that hold a symbolic link on the way, the one where the way ends, and the one above that,
    in which it could be exchanged as a whole.
    """
    here = Path("/")
    rest = [*reversed(path.parts)]
    entries: list[Path] = []
    directories: set[Path] = set()
    links = 0
    while rest:
        name = rest.pop()
        if name == ".." or name.startswith("/"):
            here = here.parent if name == ".." else Path("/")
            continue
        entry = here / name
        entries.append(entry)
        try:
            mode = entry.lstat().st_mode
            target = entry.readlink() if stat.S_ISLNK(mode) else None
        except OSError:
            break
        if target is not None:
            links += 1
            if links > _LINKS:
                break
            directories.add(here)
            rest.extend(reversed(target.parts))
        elif stat.S_ISDIR(mode):
            here = entry
        else:
            break
    return ResolvedPath(tuple(entries), frozenset(directories | {here, here.parent}))


class ChangeHints(FileSystemEventHandler):
    """Sets `wake` when something happened on the way to `path`; to be used by one thread.

    Events may be lost, late, or for nothing. Where the system refuses to watch (inotify's limits), there are none.
    """

    def __init__(self, path: Path, wake: threading.Event) -> None:
        self._path = path
        self._wake = wake
        self._entries: frozenset[str] = frozenset()
        self._replaced: deque[str] = deque()
        self._watches: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}
        self._observer: BaseObserver | None = None
        self._refused_until: float | None = None

    def dispatch(self, event: FileSystemEvent) -> None:
        """Take an event from watchdog's thread."""
        if event.event_type in _IGNORED or (event.is_directory and event.event_type == "modified"):
            return
        for path in map(os.fsdecode, (event.src_path, event.dest_path)):
            if path in self._entries:
                if event.is_directory and event.event_type != "attrib":
                    self._replaced.append(path)
                self._wake.set()

    def listen(self) -> bool:
        """Watch the directories that matter now, no others; True if one is new: nothing was heard of it until here."""
        if self._refused_until is not None and time.monotonic() < self._refused_until:
            return False
        way = resolve_path(self._path)
        self._entries = frozenset(map(str, way.entries))
        wanted = {str(path): identity for path in way.directories if (identity := _identity(path)) is not None}
        # A directory that came or went took its watch with it, also where its inode number is in use again.
        while self._replaced:
            self._forget(self._replaced.popleft())
        new = [path for path, identity in wanted.items() if self._watches.get(path, (None, None))[1] != identity]
        try:
            if self._observer is None:
                self._observer = _Observer()
                self._observer.start()
            for path in new:
                self._forget(path)
                # One that is gone meanwhile is no refusal; as it was new, the way is walked again.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._watches[path] = (self._observer.schedule(self, path), wanted[path])
            for path in self._watches.keys() - wanted.keys():
                self._forget(path)
        except (OSError, RuntimeError) as error:
            self._refuse(error)
            return False
        if self._refused_until is not None:
            self._refused_until = None
            log.info("changes of %s are heard of at once again", self._path)
        return bool(new)

    def close(self) -> None:
        """End the watching; `listen` begins it anew, with nothing left of a watch that may have gone deaf."""
        self._watches.clear()
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()

    def _forget(self, path: str) -> None:
        known = self._watches.pop(path, None)
        if known is not None and self._observer is not None:
            self._observer.unschedule(known[0])

    def _refuse(self, error: Exception) -> None:
        self.close()
        if self._refused_until is None:
            log.warning(
                "the system refuses to watch %s (%s), so changes are seen up to a second late: raise "
                "fs.inotify.max_user_instances and fs.inotify.max_user_watches",
                self._path,
                error,
            )
        self._refused_until = time.monotonic() + _TRY_AGAIN


def _identity(directory: Path) -> tuple[int, int] | None:
    """Tell a directory from another one at its path; None where it cannot be watched."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if os.access(directory, os.R_OK) else None
