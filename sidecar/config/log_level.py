"""Takes the log level anew while the sidecar runs: on a signal, and when the configuration's file has changed."""

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
    """Follows the level that flags, environment and file say together; nothing else of the file is taken up.

    The file is read every `every` seconds, and only what it holds counts: no notification that could be lost, no time
    stamp that could be the same, no symbolic link that leads elsewhere. One that is no configuration changes nothing.
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
        """Begin to follow the file, where there is one."""
        if self._path is not None:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def take(self, *_signal: object) -> None:
        """Take the level now, and say which it is; fit to be a signal's handler."""
        self._take("SIGHUP", aloud=True)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            text = self._read()
            # While it is being replaced there may be none.
            if text is not None and text != self._text:
                self._text = text
                self._take(str(self._path), aloud=False)

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes() if self._path is not None else None
        except OSError:
            return None

    def _take(self, why: str, *, aloud: bool) -> None:
        try:
            level = config.load(self._argv, self._environ).log_level
        except SidecarError as error:
            log.warning("%s: the configuration cannot be read, the log level stays: %s", why, error)
            return
        if aloud or level != self._level:
            self._level = level
            set_level(level)
            log.warning("%s: the log level is %s", why, level)
