"""The parts of a sidecar as its assembly handles them: a stoppable part, a watched server, a watched source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sidecar.sources.base import Report, Source


class Component(Protocol):
    """A part that can be stopped."""

    def stop(self, timeout: float, /) -> None:
        """Stop within `timeout` seconds."""


@runtime_checkable
class WatchedServer(Protocol):
    """A server whose thread and memory are watched in this process; worker processes log by themselves."""

    def held_s(self) -> float:
        """Return for how many seconds one event has kept the thread that answers; 0 while it turns."""

    def memory_high(self) -> bool:
        """Return whether large requests and new streams are refused because memory is short."""


@dataclass(frozen=True, slots=True)
class WatchedSource:
    """A source, and the receiver of its reports."""

    source: Source
    deliver: Callable[[Report], None]

    def start(self) -> None:
        """Start watching."""
        self.source.start(self.deliver)

    def stop(self, timeout: float) -> None:
        """Stop watching."""
        self.source.stop(timeout)
