from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.sources import file
from sidecar.sources.file_watch import PathWatcher
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
def by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not poll: what is seen, an event of watchdog announced."""
    monkeypatch.setattr(file, "_POLL_S", 3600.0)


@pytest.fixture
def by_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no events: what is seen, the read every second saw."""
    monkeypatch.setattr(PathWatcher, "update", lambda _: False)
