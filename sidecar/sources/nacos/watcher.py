"""The reader: a thread that polls the key, woken by the push, and reports what it reads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sidecar.backoff import Uniform, jitter
from sidecar.sources.base import Content, Gray, Missing, Report
from sidecar.sources.nacos.api import AbsentConfig, FoundConfig, NacosApi
from sidecar.sources.nacos.gray import served_gray
from sidecar.sources.ordering import VersionOrder
from sidecar.sources.read_loop import READ_TIMEOUT_S, ReadLoop

POLL_S = 2.0
"""How often the key is read while the push is in doubt."""
REREAD_S = 10.0
"""By default, how long a push may go unnoticed that was lost although the push is proved to work."""
GRAY_REFRESH_S = 60.0
"""How old the list of a gray version's clients may be."""


class PushWitness(Protocol):
    """The push, as far as the reader needs it: a second witness of an earlier version."""

    def has_moved(self, before: str, now: str) -> bool:
        """Return whether one server has moved from `before` to `now`, and still is there."""
        ...

    def is_proved(self, version: str) -> bool:
        """Return whether the push is proved to work, with `version` as the newest that it has received."""
        ...

    def observed(self, version: str | None) -> None:
        """Note the version that the last read found, None if it failed."""
        ...


class NacosWatcher:
    """Reads when `wake` is set, every 2 s while the push is in doubt, at least every `reread_s` seconds while it works.

    While no server answers it reads after pauses that grow from 0.25 s to 3 s.
    """

    def __init__(
        self,
        api: NacosApi,
        witness: PushWitness,
        deliver: Callable[[Report], None],
        wake: threading.Event,
        *,
        known: Sequence[str] = (),
        reread_s: float = REREAD_S,
        uniform: Uniform = random.uniform,
    ) -> None:
        self._api = api
        self._reread_s = reread_s
        self._witness = witness
        self._order = VersionOrder(known)
        # The gray version that was read last, its version, and when its clients were read.
        self._gray: tuple[str, Gray, float] | None = None
        self._uniform = uniform
        self._loop = ReadLoop(
            "Nacos", self._read, deliver, wake, api, on_failure=lambda: witness.observed(None), uniform=uniform
        )

    def start(self) -> None:
        """Start; returns at once."""
        self._loop.start()

    def stop(self, timeout: float) -> None:
        """Stop; nothing is delivered after this returns, even if the thread takes longer than `timeout` seconds."""
        self._loop.stop(timeout)

    def _read(self) -> float:
        """Read once and report; return the pause until the next read, in seconds. Raises SourceError."""
        found = self._confirmed(self._api.read(READ_TIMEOUT_S))
        if found is None:
            return self._loop.confirm_pause_s()
        self._order.accept(found.version)
        self._witness.observed(found.version)
        if isinstance(found, FoundConfig):
            self._loop.report(Content(found.text, found.version, self._gray_of(found)))
        else:
            self._loop.report(Missing(found.reason))
        return self._pause_s(found.version)

    def _pause_s(self, version: str) -> float:
        if self._witness.is_proved(version):
            # Never longer than promised, so the jitter only shortens it.
            return self._reread_s * self._uniform(0.9, 1.0)
        return min(jitter(POLL_S, uniform=self._uniform), self._reread_s)

    def _confirmed(self, found: FoundConfig | AbsentConfig) -> FoundConfig | AbsentConfig | None:
        """Return the report; None if it is an earlier version that no second witness confirms."""
        return self._loop.confirmed(
            found,
            self._order,
            witnessed=lambda newest: self._witness.has_moved(newest, found.version),
            read_again=lambda: self._api.read(READ_TIMEOUT_S, other_server=True),
        )

    def _gray_of(self, found: FoundConfig) -> Gray | None:
        """Return the gray version that a text is, None for the ordinary one; its clients are read once a minute."""
        if not found.gray:
            self._gray = None
            return None
        now = time.monotonic()
        if self._gray is None or self._gray[0] != found.version or now - self._gray[2] > GRAY_REFRESH_S:
            self._gray = found.version, served_gray(self._api, READ_TIMEOUT_S), now
        return self._gray[1]
