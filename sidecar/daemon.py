"""The daemon: starts a sidecar, reloads the log level on SIGHUP, and stops on SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import logging
import os
import resource
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from sidecar import __version__, config
from sidecar.assembly import Sidecar
from sidecar.config.log_level import LogLevelReloader
from sidecar.errors import SidecarError
from sidecar.log import configure
from sidecar.terminal import escaped_message

log = logging.getLogger(__name__)

# Enough for all bounds on connections together.
_MOST_DESCRIPTORS = 65_536


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; `argv` are the flags after `serve`. Returns the exit code."""
    try:
        settings = config.load(argv, os.environ)
    except SidecarError as error:
        sys.stderr.write(f"dc-sidecar serve: {escaped_message(str(error))}\n")
        return error.exit_code
    _raise_descriptor_limit()
    configure(settings.log_format, settings.log_level)
    level = LogLevelReloader(argv, os.environ, settings.log_level)
    signal.signal(signal.SIGHUP, level.handle_signal)
    level.start()
    for warning in settings.warnings:
        log.warning(warning)
    try:
        _serve(settings)
    except SidecarError as error:
        log.error("cannot start: %s", error)  # noqa: TRY400 - an operator's mistake needs no traceback
        return error.exit_code
    return 0


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors: systemd and shells set 1,024, as some programs still use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _serve(settings: config.Settings) -> None:
    signals = _StopSignals()
    sidecar = Sidecar(settings)
    addresses = sidecar.start()
    try:
        _log_start(sidecar.url, addresses, settings)
        sidecar.watch()
        # What exists now stays: the garbage collector need not look at it again, which would hold up calls.
        gc.collect()
        gc.freeze()
        signals.wait()
    finally:
        log.info("stopping: running calls have %g s to finish", settings.grace)
        sidecar.stop(settings.grace)
        log.info("stopped")


class _StopSignals:
    """Waits for SIGTERM or SIGINT; a second signal ends the process at once."""

    def __init__(self) -> None:
        # The byte that a signal writes stays until it is read; a thread that waits for a lock could miss the signal.
        self._read, self._written = socket.socketpair()
        self._written.setblocking(False)
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def wait(self) -> None:
        """Return after the first signal."""
        while not self._stopping:
            self._read.recv(1)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(128 + number)
        self._stopping = True


def _own_command() -> str:
    """Return how to call this very program; a `dc-sidecar` on the PATH may be another one."""
    own, found = sys.argv[0], shutil.which("dc-sidecar")
    if Path(own).name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m sidecar"
    return "dc-sidecar" if found and Path(found).resolve() == Path(own).resolve() else shlex.quote(os.path.relpath(own))


def _log_start(url: str, addresses: Sequence[str], settings: config.Settings) -> None:
    log.info("dc-sidecar %s serves %s on %s", __version__, url, ", ".join(addresses))
    if settings.log_format != "console":
        return
    command = _own_command()
    sidecar = "" if addresses[0] == "127.0.0.1:50051" else f" --sidecar {shlex.quote(addresses[0])}"
    lines = [
        "Ask it, in another terminal:",
        f"  {command} filter billing --job 7 --candidates dc1=2,dc2=1{sidecar}",
        f"  {command} status{sidecar}",
    ]
    if url.startswith("file:"):
        lines += ["Then edit the document, save it, and ask again:", f"  {url.removeprefix('file:')}"]
    sys.stderr.write("\n".join(lines) + "\n")
