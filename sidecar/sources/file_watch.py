"""Watches a path for changes: subscribes to the directories on its way with watchdog."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from sidecar.sources.file_path import resolve_path

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter, InotifyObserver
    from watchdog.observers.inotify_c import InotifyConstants as Inotify
    from watchdog.observers.inotify_c import Mask

    class _Emitter(InotifyEmitter):
        """Subscribes to arrivals and finished writes only.

        Moves away are left out: watchdog holds each one back for half a second, to pair it with an arrival, and with it
        every later event. So are opens, as our own reads would wake us, and single writes, as the close comes after.
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

# Watchdog logs lost events, and its own races at a stop, as errors: nothing that an operator could fix or need.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)

_RETRY_S = 30.0
"""Seconds until watching is tried again after the system refused it."""

_IGNORED = frozenset({"opened", "closed_no_write"})


class PathWatcher(FileSystemEventHandler):
    """Sets `wake` when something has happened on the way to `path`; for one thread.

    Events may be lost, late or spurious. Where the system refuses to watch (inotify's limits), there are none.
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
        """Handle an event, on watchdog's thread."""
        if event.event_type in _IGNORED or (event.is_directory and event.event_type == "modified"):
            return
        for path in map(os.fsdecode, (event.src_path, event.dest_path)):
            if path in self._entries:
                if event.is_directory and event.event_type != "attrib":
                    self._replaced.append(path)
                self._wake.set()

    def update(self) -> bool:
        """Watch the directories that matter now; return whether one is new, whose earlier events were not seen."""
        if self._refused_until is not None and time.monotonic() < self._refused_until:
            return False
        resolved = resolve_path(self._path)
        self._entries = frozenset(map(str, resolved.entries))
        wanted = {str(path): identity for path in resolved.directories if (identity := _identity(path)) is not None}
        # A directory that was replaced took its watch with it, even if the new one has the same inode number.
        while self._replaced:
            self._unwatch(self._replaced.popleft())
        new = [path for path, identity in wanted.items() if self._watches.get(path, (None, None))[1] != identity]
        try:
            if self._observer is None:
                self._observer = _Observer()
                self._observer.start()
            for path in new:
                self._unwatch(path)
                # One that is gone by now is no refusal; as it was new, the path is resolved again.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._watches[path] = (self._observer.schedule(self, path), wanted[path])
            for path in self._watches.keys() - wanted.keys():
                self._unwatch(path)
        except (OSError, RuntimeError) as error:
            self._refuse(error)
            return False
        if self._refused_until is not None:
            self._refused_until = None
            log.info("changes of %s are seen immediately again", self._path)
        return bool(new)

    def close(self) -> None:
        """Stop watching; `update` starts afresh, without any watch that may have gone deaf."""
        self._watches.clear()
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()

    def _unwatch(self, path: str) -> None:
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
        self._refused_until = time.monotonic() + _RETRY_S


def _identity(directory: Path) -> tuple[int, int] | None:
    """Return the identity of a directory, which another one at the same path has not; None if it cannot be watched."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if os.access(directory, os.R_OK) else None
