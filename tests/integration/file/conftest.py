from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.sources import file
from sidecar.sources.file_watch import ChangeHints
from tests.integration.file.watched import Watch, Watched


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Start sources; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(path: Path) -> Watched:
            watched = Watched(path)
            stack.callback(watched.source.stop, 5.0)
            return watched

        yield start


@pytest.fixture
def by_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look at the file but after a hint: whatever is seen, watchdog told of it."""
    monkeypatch.setattr(file, "_REREAD", 3600.0)


@pytest.fixture
def by_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchdog tells nothing: whatever is seen, the look every second saw it."""
    monkeypatch.setattr(ChangeHints, "listen", lambda _: False)
