"""The thread of a source that reads its key again and again, and what an earlier version needs to be believed."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from sidecar.backoff import Backoff, Uniform, jitter
from sidecar.errors import SourceError
from sidecar.sources.base import Report, Unreachable
from sidecar.sources.ordering import OrderVerdict, VersionOrder

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 6.0
CONFIRM_AFTER_S = 0.3
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 3.0


class Found(Protocol):
    """The result of a read."""

    @property
    def version(self) -> str:
        """The version of the text; "" where the key is absent."""


class Client(Protocol):
    """The result of one read."""

    def abort(self) -> None:
        """End a read that is under way, from another thread."""

    def close(self) -> None:
        """Close the connections."""


FoundT = TypeVar("FoundT", bound=Found)


class ReadLoop:
    """Calls `read` after the pause that its last call returned, in seconds, or as soon as `wake` is set.

    `read` reads the key once and reports. A SourceError from it is reported as Unreachable, after a call of
    `on_failure`; pauses then grow from 0.25 s to 3 s.
    """

    def __init__(
        self,
        server: str,
        read: Callable[[], float],
        deliver: Callable[[Report], None],
        wake: threading.Event,
        client: Client,
        *,
        on_failure: Callable[[], None],
        uniform: Uniform = random.uniform,
    ) -> None:
        """Name the kind of `server` in the log, such as Nacos."""
        self._server = server
        self._read = read
        self._deliver = deliver
        self._wake = wake
        self._client = client
        self._on_failure = on_failure
        self._uniform = uniform
        self._backoff = Backoff(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S, uniform=uniform)
        self._stopped = threading.Event()
        self._delivering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"{server.lower()}-reader", daemon=True)

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

    def report(self, report: Report) -> None:
        """Deliver a report, unless stopped."""
        with self._delivering:
            if not self._stopped.is_set():
                self._deliver(report)

    def confirmed(
        self,
        found: FoundT,
        order: VersionOrder,
        *,
        witnessed: Callable[[str], bool],
        read_again: Callable[[], FoundT],
    ) -> FoundT | None:
        """Return the report; None if it is an earlier version that no second witness confirms.

        `witnessed` is asked whether one server has moved from a version to the found one; else `read_again` asks
        another server (ADR 0401).
        """
        newest = order.newest
        if newest is None or order.judge(found.version) is not OrderVerdict.EARLIER or witnessed(newest):
            return found
        if self._stopped.wait(CONFIRM_AFTER_S):
            return None
        again = read_again()
        if again.version == found.version or order.judge(again.version) is not OrderVerdict.EARLIER:
            return again
        log.info("%s servers disagree (%s, %s); keeping %s", self._server, found.version, again.version, newest)
        return None

    def confirm_pause_s(self) -> float:
        """Return the pause before an unconfirmed version is read again."""
        return jitter(CONFIRM_AFTER_S, uniform=self._uniform)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            self._wake.wait(self.read_once())
        self._client.close()

    def read_once(self) -> float:
        """Read and report, as the thread does; return the pause until the next read, in seconds."""
        try:
            pause = self._read()
        except SourceError as error:
            reason = str(error)
        except Exception as error:
            log.exception("reading from %s failed unexpectedly; retrying", self._server)
            reason = f"reading failed: {type(error).__name__}, see the log"
        else:
            self._backoff.reset()
            return pause
        self._on_failure()
        self.report(Unreachable(reason))
        return self._backoff.fail()
