"""The reader: a thread that reads the key every few seconds, woken by the long poll, and reports what it reads."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

from sidecar.backoff import Uniform, jitter
from sidecar.sources.apollo.client import ApolloClient, Found, FoundRelease
from sidecar.sources.apollo.poll import Announcements, LongPoll
from sidecar.sources.base import Content, Gray, Missing, Report
from sidecar.sources.ordering import VersionOrder
from sidecar.sources.read_loop import READ_TIMEOUT_S, ReadLoop

POLL_S = 5.0


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
        self._order = VersionOrder(versions)
        self._accepted_at = 0
        self._away = False
        self._uniform = uniform
        self._loop = ReadLoop("Apollo", self._read, deliver, wake, client, on_failure=self._note_away, uniform=uniform)

    def start(self) -> None:
        """Start; returns at once."""
        self._loop.start()

    def stop(self, timeout: float) -> None:
        """Stop; nothing is delivered after this returns, even if the thread takes longer than `timeout` seconds."""
        self._loop.stop(timeout)

    def _read(self) -> float:
        """Read once and report; return the pause until the next read, in seconds. Raises SourceError."""
        announced = self._poll.announced
        found = self._confirmed(self._client.read(READ_TIMEOUT_S, announced.messages), announced)
        if found is None:
            return self._loop.confirm_pause_s()
        self._follow(found, announced)
        self._order.accept(found.version)
        self._accepted_at = announced.count
        if isinstance(found, FoundRelease):
            gray = Gray(found.branch) if found.branch else None
            self._loop.report(Content(found.text, found.version, gray))
        else:
            self._loop.report(Missing(found.reason))
        return jitter(POLL_S, uniform=self._uniform)

    def _note_away(self) -> None:
        self._away = True

    def _follow(self, found: Found, announced: Announcements) -> None:
        """Poll the service that answered; start over where it was away, or where its polls missed a release."""
        newest = self._order.newest
        unannounced = newest not in {None, found.version} and announced.count == self._accepted_at
        afresh, self._away = self._away or unannounced, False
        if self._client.server is not None:
            self._poll.follow(self._client.server, afresh=afresh)

    def _confirmed(self, found: Found, announced: Announcements) -> Found | None:
        """Return the report; None if it is an earlier version that no second witness confirms."""

        def is_rollback(_newest: str) -> bool:
            """Return whether the service that shows the version has announced it."""
            return announced.count > self._accepted_at and announced.server == self._client.server

        return self._loop.confirmed(
            found,
            self._order,
            witnessed=is_rollback,
            read_again=lambda: self._client.read(READ_TIMEOUT_S, announced.messages, other_server=True),
        )
