"""A file source at work, and everything that it has reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sidecar.sources import file
from tests.integration.watched import WatchedSource
from tests.waiting import eventually


class Watched(WatchedSource):
    """A started file source."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = file.open_source(f"file:{path}", {})
        super().__init__(self.source)

    def listens(self) -> None:
        """Wait for the second report, which comes at once when the watches have been set up after the first."""
        eventually(lambda: len(self.reports) >= 2, "a second report")


Watch = Callable[[Path], Watched]
