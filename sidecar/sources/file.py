"""The file source: watches and writes a local file, also behind symbolic links and in a mounted ConfigMap."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from sidecar.errors import ConfigError, SourceError, WriteConflict
from sidecar.sources.base import NO_NOTE, ChangeNote, Content, Gray, Missing, Report, Unreachable
from sidecar.sources.file_path import resolve_path

T = TypeVar("T")

READ_LIMIT = 16 * 1024 * 1024
"""Bytes that are read of a file, plus one that shows that it is longer: the largest sensible --max-document-size."""

_POLL_S = 1.0
"""Seconds between two reads without an event: the delay that a lost event causes."""

_SETTLE_S = 0.1
"""Seconds that a file must be gone or empty to be reported missing: editors truncate, delete and relink within that."""

_MIN_PAUSE_S = 0.01
"""Minimum seconds between two reads; a slow read is followed by a pause of four times its duration."""

_TEMPORARY = ".dc-sidecar-write"
"""The name of a write under way; one per directory, so killed writers leave one file at most."""

_REMEDIES = {
    errno.EROFS: "the file system is read-only: write where it is mounted from",
    errno.EBUSY: "the file itself is a mount point: write it where it is mounted from, or mount its directory",
    errno.ENOENT: "make its directory first",
    errno.ENOTDIR: "make its directory first",
    errno.EBADF: "its file system has no locks for directories, as NFS: write on the server, or by another source",
    errno.ENOLCK: "its file system has no locks: write on the server, or by another source",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room in the quota",
}

log = logging.getLogger(__name__)


def open_source(url: str, options: Mapping[str, str]) -> FileSource:  # noqa: ARG001  # the signature of every source
    """Return the source for `file:/absolute/path`, `file:///absolute/path` or `file:relative/path`.

    The path is taken as written, without decoding. A relative one starts from the current directory. Raises ConfigError
    for anything else.
    """
    path = url.removeprefix("file:")
    if path.startswith("//"):
        host, slash, tail = path[2:].partition("/")
        if not slash or host not in {"", "localhost"}:
            raise ConfigError("the source's file: URL names a host: write file:/path or file:///path for a local file")
        path = "/" + tail.lstrip("/")
    if not path or path.endswith("/") or "\0" in path:
        raise ConfigError(f"source {url!r} does not name a file: write the path of one, as in file:/etc/routing.yaml")
    try:
        return FileSource(Path(path) if path.startswith("/") else Path.cwd() / path)
    except OSError as error:
        raise ConfigError(f"source {url!r}: there is no current directory: write file:/path") from error


class FileSource:
    """A `Source` for the file at an absolute path; versions are the SHA-256 of the text in hex.

    Only the text that is read counts: events of the file system make it quick, a read every second makes it certain.
    Modification times and inodes decide nothing.
    """

    history: None = None
    """A file system keeps no earlier versions."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._delivering = threading.Lock()
        self._deliver: Callable[[Report], None] | None = None
        self._thread: threading.Thread | None = None
        self._last: Report | None = None
        self._missing_since: float | None = None

    @property
    def url(self) -> str:
        """The absolute path, as `file:/path`."""
        return f"file:{self._path}"

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Start watching; to be called once."""
        self._deliver = deliver
        self._thread = threading.Thread(target=self._watch, name="file-source", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop watching; a thread on a hanging file system is abandoned after `timeout` seconds."""
        with self._delivering:
            self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def read(self, timeout: float) -> Content | Missing:
        """Read the file once. Raises SourceError if it cannot be read within `timeout` seconds."""
        report = _within(lambda: _read_file(self._path), timeout, f"{self._path} could not be read")
        if isinstance(report, Unreachable):
            raise SourceError(report.reason)
        return report

    def gray(self, timeout: float) -> Gray | None:  # noqa: ARG002 - the signature of every source
        """Return None: a file is the same for everybody."""
        return None

    def write(
        self,
        text: bytes,
        expected_version: str | None,
        timeout: float,
        note: ChangeNote = NO_NOTE,  # noqa: ARG002 - the signature of every source
    ) -> str:
        """Replace the file if it is at `expected_version`; links are followed, mode and owner are kept if permitted.

        After a crash the old text or the new one is on disk. Writers of ours lock each other out; an editor that saves
        within the microseconds between the comparison and the rename is not noticed.
        """
        deadline = time.monotonic() + timeout
        unknown = f"{self._path} may have been written or not, read it again: no answer"
        # The write gives up by itself at the deadline; half a second more lets it say so.
        return _within(lambda: _replace(self._path, text, expected_version, deadline), timeout + 0.5, unknown)

    def _watch(self) -> None:
        from sidecar.sources.file_watch import PathWatcher  # noqa: PLC0415 - only who watches loads watchdog

        watcher = PathWatcher(self._path, self._wake)
        pause = 0.0
        while not self._stopping.is_set():
            notified = self._wake.wait(pause)
            self._wake.clear()
            began = time.monotonic()
            pause = rest = _POLL_S
            try:
                report = _read_file(self._path)
                rest = max(_MIN_PAUSE_S, 4 * (time.monotonic() - began))
                if not self._confirmed(report, began):
                    pause = _SETTLE_S
                elif self._report(report) and isinstance(report, Content) and not notified:
                    # No event came for this text: a watch has gone deaf, or the file system sends none.
                    watcher.close()
                if watcher.update():
                    self._wake.set()
            except Exception:
                log.exception("watching %s failed unexpectedly; retrying", self._path)
            self._stopping.wait(min(rest, _POLL_S))
        watcher.close()

    def _confirmed(self, report: Report, now: float) -> bool:
        """Return whether a report may be delivered: that a text is gone only once it has been gone for a while."""
        if not isinstance(report, Missing) or not isinstance(self._last, Content):
            self._missing_since = None
            return True
        self._missing_since = self._missing_since or now
        return now - self._missing_since >= _SETTLE_S

    def _report(self, report: Report) -> bool:
        """Deliver a report; return whether it differs from the one before."""
        last = self._last
        if last is not None and last == report:
            report = last  # Keep one copy of an unchanged text.
        self._last = report
        with self._delivering:
            if self._deliver is not None and not self._stopping.is_set():
                self._deliver(report)
        return report is not last


def _read_file(path: Path) -> Report:
    """Read the file at `path`, READ_LIMIT bytes at most; never waits for the other end of a pipe."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return Unreachable(f"{path} is {_kind(mode)}, expected a regular file: put the document there")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            text = file.read(READ_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        first = resolve_path(path).entries[-1]
        return Missing(f"{path} does not exist" + (f": there is no {first}" if first != path else ""))
    except PermissionError as error:
        who = f"user {os.geteuid()}, group {os.getegid()}"
        return Unreachable(f"{path} cannot be read: {error.strerror}: give {who} read access to it and its directories")
    except OSError as error:
        return Unreachable(f"{path} cannot be read: {error.strerror}")
    return Content(text, hashlib.sha256(text).hexdigest()) if text else Missing(f"{path} is empty")


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _replace(path: Path, text: bytes, expected: str | None, deadline: float) -> str:
    if any(entry.name == "..data" for entry in resolve_path(path).entries):
        raise SourceError(
            f"{path} belongs to a Kubernetes volume: change its ConfigMap instead (kubectl edit configmap …)"
        )
    real = Path(os.path.realpath(path))
    try:
        # The lock is on the directory itself: nothing is left behind, and a killed writer's lock ends with it.
        folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _lock(folder, path, deadline)
            _remove(_TEMPORARY, folder)
            try:
                _write_temporary(real.name, text, folder)
                # As late as possible, because editors take no lock.
                _check_version(path, real, folder, expected)
                if time.monotonic() > deadline:
                    raise SourceError(f"{path} was not written: its file system is too slow for the time given")
                os.replace(_TEMPORARY, real.name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                _remove(_TEMPORARY, folder)
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, f"check the rights of user {os.geteuid()} in {real.parent}")
        raise SourceError(f"{path} could not be written: {error.strerror}: {remedy}") from error
    return hashlib.sha256(text).hexdigest()


def _lock(folder: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SourceError(
                    f"{path} was not written: another writer has its directory locked: try again"
                ) from None
            time.sleep(0.005)
        else:
            return


def _write_temporary(name: str, text: bytes, folder: int) -> None:
    """Write `text` to disk under the temporary name, with the mode and owner of `name` if that exists."""
    try:
        old = os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        old = None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(_TEMPORARY, flags, 0o666 if old is None else 0o600, dir_fd=folder), "wb") as file:
        file.write(text)
        file.flush()
        if old is not None:
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
        os.fsync(file.fileno())


def _check_version(path: Path, real: Path, folder: int, expected: str | None) -> None:
    report = _read_file(path)
    if isinstance(report, Unreachable):
        raise SourceError(f"{path} was not written: {report.reason}")
    found = report.version if isinstance(report, Content) else None
    moved = os.path.realpath(path) != str(real) or not os.path.samestat(real.parent.stat(), os.fstat(folder))
    if moved or found != expected:
        raise WriteConflict(
            f"{path} was not written: it is at version {_short(found)}, expected {_short(expected)}, so somebody else "
            "changed it: read it again and repeat your change"
        )


def _short(version: str | None) -> str:
    return "none (no text)" if version is None else version[:12]


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _within(work: Callable[[], T], timeout: float, what: str) -> T:
    """Return the result of `work`. Raises SourceError after `timeout` seconds: a network file system may hang."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # handed over to the calling thread
            future.set_exception(error)

    threading.Thread(target=run, name="file-source-once", daemon=True).start()
    try:
        return future.result(timeout)
    except TimeoutError:
        raise SourceError(f"{what} within {timeout:g} s: does its file system hang?") from None
