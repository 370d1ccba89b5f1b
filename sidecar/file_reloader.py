"""Follows a small file that may be replaced while the sidecar runs, by its content."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from sidecar.background import BackgroundThread
from sidecar.errors import ConfigError

log = logging.getLogger(__name__)

_EVERY_S = 2.0
MAX_BYTES = 4 << 20


def read_file(path: Path, option: str) -> bytes:
    """Return the content of a file that an option names. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{option}: {path} has more than {MAX_BYTES} bytes, expected a small file")
    return content


class FileReloader(BackgroundThread):
    """Calls `apply` with the new content of a file, every `every` seconds at most.

    There is no event to lose, no equal timestamp, no stale symbolic link. `apply` raises ConfigError for a content that
    cannot be used; that, and a file that cannot be read, is logged once, and the previous content stays in force.
    """

    def __init__(
        self, path: Path, option: str, apply: Callable[[bytes], None], *, known: bytes, every: float = _EVERY_S
    ) -> None:
        super().__init__(f"reload {option}")
        self._path = path
        self._option = option
        self._apply = apply
        self._known = known
        self._every = every
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the newest content is not in force, "" where it is."""
        return self._problem

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self.look()

    def look(self) -> None:
        """Read the file now, and apply it if it changed."""
        try:
            content = read_file(self._path, self._option)
            if content == self._known:
                self._problem = ""
                return
            self._apply(content)
        except ConfigError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("%s: not reloaded, the previous content stays in force: %s", self._option, error)  # noqa: TRY400 - an operator's mistake needs no traceback
            return
        self._known = content
        self._problem = ""
        log.info("%s: %s was reloaded", self._option, self._path)
