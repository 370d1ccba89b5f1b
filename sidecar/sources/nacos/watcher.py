"""The reader: a thread that polls the key, woken by the push, and reports what it reads."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sidecar.backoff import Backoff, Uniform, jitter
from sidecar.errors import SourceError
from sidecar.sources.base import Content, Gray, Missing, Report, Unreachable
from sidecar.sources.nacos.api import AbsentConfig, FoundConfig, NacosApi
from sidecar.sources.nacos.gray import served_gray
from sidecar.sources.ordering import OrderVerdict, VersionOrder

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How often the key is read while the push is in doubt."""
REREAD_S = 10.0
"""By default, how long a push may go unnoticed that was lost although the push is proved to work."""
READ_TIMEOUT_S = 6.0
CONFIRM_AFTER_S = 0.3
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 3.0
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
        self._deliver = deliver
        self._order = VersionOrder()
        for version in known:
            self._order.accept(version)
        # The gray version that was read last, its version, and when its clients were read.
        self._gray: tuple[str, Gray, float] | None = None
        self._backoff = Backoff(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S, uniform=uniform)
        self._uniform = uniform
        self._wake = wake
        self._stopped = threading.Event()
        self._delivering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="nacos-reader", daemon=True)

    def start(self) -> None:
        """Start; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop; nothing is delivered after this returns, even if the thread takes longer than `timeout` seconds."""
        with self._delivering:
            self._stopped.set()
        self._wake.set()
        self._api.abort()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            self._wake.wait(self._poll())
        self._api.close()

    def _poll(self) -> float:
        """Read once and report; return the pause until the next poll, in seconds."""
        try:
            found = self._confirmed(self._api.read(READ_TIMEOUT_S))
        except SourceError as error:
            return self._failed(str(error))
        except Exception as error:
            log.exception("reading from Nacos failed by a defect")
            return self._failed(f"reading failed: {type(error).__name__}, see the log")
        self._backoff.reset()
        if found is None:
            return jitter(CONFIRM_AFTER_S, uniform=self._uniform)
        self._order.accept(found.version)
        self._witness.observed(found.version)
        if isinstance(found, FoundConfig):
            self._report(Content(found.text, found.version, self._gray_of(found)))
        else:
            self._report(Missing(found.reason))
        return self._pause_s(found.version)

    def _pause_s(self, version: str) -> float:
        if self._witness.is_proved(version):
            # Never longer than promised, so the jitter only shortens it.
            return self._reread_s * self._uniform(0.8, 1.0)
        return min(jitter(POLL_S, uniform=self._uniform), self._reread_s)

    def _failed(self, reason: str) -> float:
        self._witness.observed(None)
        self._report(Unreachable(reason))
        return self._backoff.fail()

    def _confirmed(self, found: FoundConfig | AbsentConfig) -> FoundConfig | AbsentConfig | None:
        """Return what to report; None if it is an earlier version that no second witness confirms."""
        newest = self._order.newest
        if newest is None or self._order.judge(found.version) is not OrderVerdict.EARLIER:
            return found
        if self._witness.has_moved(newest, found.version):
            return found
        if self._stopped.wait(CONFIRM_AFTER_S):
            return None
        again = self._api.read(READ_TIMEOUT_S, other_server=True)
        if again.version == found.version or self._order.judge(again.version) is not OrderVerdict.EARLIER:
            return again
        log.info("Nacos servers disagree (%s, %s); keeping %s", found.version, again.version, newest)
        return None

    def _gray_of(self, found: FoundConfig) -> Gray | None:
        """Return the gray version that a text is, None for the ordinary one; its clients are read once a minute."""
        if not found.gray:
            self._gray = None
            return None
        now = time.monotonic()
        if self._gray is None or self._gray[0] != found.version or now - self._gray[2] > GRAY_REFRESH_S:
            self._gray = found.version, served_gray(self._api, READ_TIMEOUT_S), now
        return self._gray[1]

    def _report(self, report: Report) -> None:
        with self._delivering:
            if not self._stopped.is_set():
                self._deliver(report)
