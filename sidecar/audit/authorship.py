"""Who wrote a text, as the config center's own history knows it: Nacos does, where users log in."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from sidecar.errors import SidecarError

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_LOOKED_THROUGH = 3
_PAUSE_S = 600.0


class Authored(Protocol):
    """One change of the key, by its history."""

    @property
    def version(self) -> str | None:
        """The source's name for the text that it put in force."""
        ...

    @property
    def operator(self) -> str:
        """Who did it, "" where that is not known."""
        ...

    @property
    def address(self) -> str:
        """From where."""
        ...


@runtime_checkable
class VersionedSource(Protocol):
    """A source with a history."""

    def history(self, limit: int, timeout: float) -> Sequence[Authored]:
        """Return the newest changes, newest first. Raises SourceError."""
        ...


class Authorship:
    """Asks a source's history; after a failure not again for ten minutes, as reactions wait for the answer."""

    def __init__(self, source: object, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._source = source if isinstance(source, VersionedSource) else None
        self._elapsed = elapsed
        self._not_before = -math.inf

    def of(self, version: str) -> Mapping[str, str]:
        """Return user and address of the write of a version, as far as they are known, within about two seconds."""
        if self._source is None or self._elapsed() < self._not_before:
            return {}
        try:
            changes = self._source.history(_LOOKED_THROUGH, _TIMEOUT_S)
        except SidecarError as error:
            log.info("the config center's history tells no authors: %s", error)
            self._not_before = self._elapsed() + _PAUSE_S
            return {}
        change = next((change for change in changes if change.version == version), None)
        known = {"user": change.operator, "address": change.address} if change else {}
        return {name: value for name, value in known.items() if value}
