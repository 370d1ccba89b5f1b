"""The reader: a thread that reads the key every few seconds, woken by the long poll, and reports what it reads."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence

from sidecar.backoff import Backoff, Uniform, jitter
from sidecar.errors import SourceError
from sidecar.sources.apollo.client import ApolloClient, Found, FoundRelease
from sidecar.sources.apollo.poll import Announcements, LongPoll
from sidecar.sources.base import Content, Gray, Missing, Report, Unreachable
from sidecar.sources.ordering import OrderVerdict, VersionOrder

log = logging.getLogger(__name__)

POLL_S = 5.0
READ_TIMEOUT_S = 6.0
CONFIRM_AFTER_S = 0.3
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 3.0


class ApolloWatcher:
    """Reads every 5 s and when `wake` is set; while no service answers, after pauses that grow from 0.25 s to 3 s."""

    def __init__(
        self,
        client: ApolloClient,
        poll: LongPoll,
        deliver: Callable[[Report], None],
        wake: threading.Event,
        *,
        versions: Sequence[str] = (),
        uniform: Uniform = random.uniform,
    ) -> None:
        """Read with `client`; `versions` were in force before, newest last."""
        self._client = client
        self._poll = poll
        self._deliver = deliver
        self._order = VersionOrder()
        for version in versions:
            self._order.accept(version)
        self._accepted_at = 0
        self._away = False
        self._backoff = Backoff(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S, uniform=uniform)
        self._uniform = uniform
        self._wake = wake
        self._stopped = threading.Event()
        self._delivering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="apollo-reader", daemon=True)

    def start(self) -> None:
        """Start; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop; nothing is delivered after this returns, even if the thread takes longer than `timeout` seconds."""
        with self._delivering:
            self._stopped.set()
        self._wake.set()
        self._client.abort()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            self._wake.wait(self._read_once())
        self._client.close()

    def _read_once(self) -> float:
        """Read once and report; return the pause until the next read, in seconds."""
        announced = self._poll.announced
        try:
            found = self._confirmed(self._client.read(READ_TIMEOUT_S, announced.messages), announced)
        except SourceError as error:
            return self._failed(str(error))
        except Exception as error:
            log.exception("reading from Apollo failed by a defect")
            return self._failed(f"reading failed: {type(error).__name__}, see the log")
        self._backoff.reset()
        if found is None:
            return jitter(CONFIRM_AFTER_S, uniform=self._uniform)
        self._follow(found, announced)
        self._order.accept(found.version)
        self._accepted_at = announced.count
        if isinstance(found, FoundRelease):
            gray = Gray(found.branch) if found.branch else None
            self._report(Content(found.text, found.version, gray))
        else:
            self._report(Missing(found.reason))
        return jitter(POLL_S, uniform=self._uniform)

    def _failed(self, reason: str) -> float:
        self._away = True
        self._report(Unreachable(reason))
        return self._backoff.fail()

    def _follow(self, found: Found, announced: Announcements) -> None:
        """Poll the service that answered; anew where it was away, or where its polls missed a release."""
        newest = self._order.newest
        unannounced = newest not in {None, found.version} and announced.count == self._accepted_at
        afresh, self._away = self._away or unannounced, False
        if self._client.server is not None:
            self._poll.follow(self._client.server, afresh=afresh)

    def _confirmed(self, found: Found, announced: Announcements) -> Found | None:
        """Return what to report; None if it is an earlier version that no second witness confirms."""
        newest = self._order.newest
        if newest is None or self._order.judge(found.version) is not OrderVerdict.EARLIER:
            return found
        if announced.count > self._accepted_at and announced.server == self._client.server:
            return found  # A rollback, announced by the service that shows it.
        if self._stopped.wait(CONFIRM_AFTER_S):
            return None
        again = self._client.read(READ_TIMEOUT_S, announced.messages, other_server=True)
        if again.version == found.version or self._order.judge(again.version) is not OrderVerdict.EARLIER:
            return again
        log.info("Apollo's config services disagree (%s, %s); keeping %s", found.version, again.version, newest)
        return None

    def _report(self, report: Report) -> None:
        with self._delivering:
            if not self._stopped.is_set():
                self._deliver(report)
