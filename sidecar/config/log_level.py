"""Reloads the log level while the sidecar runs: on a signal, and when the configuration file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from sidecar import config
from sidecar.config.arguments import parse_flags
from sidecar.errors import SidecarError
from sidecar.log import set_level

log = logging.getLogger(__name__)

_EVERY_S = 2.0


class LogLevelReloader:
    """Applies the level that flags, environment and file configure; nothing else of the file is reloaded.

    The file is read every `every` seconds and compared by content: there is no event to lose, no equal timestamp, no
    stale symbolic link. An invalid file changes nothing.
    """

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], level: str, *, every: float = _EVERY_S) -> None:
        self._argv = argv
        self._environ = environ
        self._level = level
        self._every = every
        named = parse_flags(argv).get("config") or [environ.get("DC_SIDECAR_CONFIG", "")]
        self._path = Path(named[0]) if named[0] else None
        self._text = self._read()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log level", daemon=True)

    def start(self) -> None:
        """Start polling the file, if there is one."""
        if self._path is not None:
            self._thread.start()

    def stop(self) -> None:
        """Stop."""
        self._stopping.set()

    def handle_signal(self, *_signal: object) -> None:
        """Reload the level now, and log which it is; a signal handler."""
        self._reload("SIGHUP", always_log=True)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            text = self._read()
            # While it is being replaced it may be missing.
            if text is not None and text != self._text:
                self._text = text
                self._reload(str(self._path), always_log=False)

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes() if self._path is not None else None
        except OSError:
            return None

    def _reload(self, why: str, *, always_log: bool) -> None:
        try:
            level = config.load(self._argv, self._environ).log_level
        except SidecarError as error:
            log.warning("%s: the configuration is invalid, the log level stays: %s", why, error)
            return
        if always_log or level != self._level:
            self._level = level
            set_level(level)
            log.warning("%s: the log level is %s", why, level)
