"""Watches the node: one thread that reads it when a watch fires and every two seconds, and replaces broken clients."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sidecar.backoff import Backoff, jitter
from sidecar.errors import NoResponse, SourceError
from sidecar.sources.base import Content, Missing, Report, Unreachable
from sidecar.sources.zookeeper.session import NodeState, ZooKeeperSession
from sidecar.sources.zookeeper.settings import ZooKeeperSettings

log = logging.getLogger(__name__)

# Reads do not rely on watches alone: freshness is known by a read, not by the absence of errors.
_POLL_S = 2.0
_RESPONSE_S = 2.0
# A client without a connection for this long is replaced. It may be stuck for good: it only accepts servers that have
# seen all that it has, which a new ensemble at the same address never will.
_REPLACE_AFTER_S = 20.0
# So is one after this many reads without a response over a connection that seems to be up.
_MAX_UNANSWERED = 3
# A client that kazoo gave up is replaced after pauses of this length.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 3.0
# A server that lags behind what was seen is not believed. One that still lags, after a `sync`, for longer than a
# deposed leader could, belongs to an ensemble whose data were restored or lost: then its data are taken over.
_RESTORED_AFTER_S = 15.0


class NodeWatch:
    """Reports the node to `deliver` between `start` and `stop`; kazoo's callbacks only wake its thread."""

    def __init__(
        self,
        settings: ZooKeeperSettings,
        deliver: Callable[[Report], None],
        *,
        known_mzxid: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._deliver = deliver
        self._clock = clock
        self._delivering = threading.Lock()
        self._stopping = False
        self._deadline = 0.0
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zookeeper-watch", daemon=True)
        self._last: Report | None = None
        self._reported_at = 0.0
        # The newest transactions seen on any server: of the ensemble, and of the node.
        self._seen_zxid = known_mzxid
        self._seen_mzxid = known_mzxid
        self._behind_since: float | None = None
        self._session = ZooKeeperSession(settings, self._wake)
        self._opened_at = self._answered_at = clock()
        self._backoff = Backoff(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S, clock=clock)
        self._unanswered = 0

    def start(self) -> None:
        """Start; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds; what hangs longer ends by itself, and delivers nothing."""
        self._deadline = self._clock() + timeout
        with self._delivering:
            self._stopping = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        self._session.start()
        while True:
            # In this order: otherwise the wake-up of a `stop` in between would be lost.
            self._wake.clear()
            if self._stopping:
                break
            try:
                pause = self._poll()
            except Exception:
                log.exception("watching %s failed unexpectedly; retrying", self._settings.path)
                pause = _POLL_S
            self._wake.wait(jitter(pause))
        self._session.close().join(max(0.0, self._deadline - self._clock()))

    def _poll(self) -> float:
        """Read once and report; return for how many seconds to wait unless woken."""
        if not self._session.connected:
            return self._reconnect()
        try:
            node = self._read()
        except SourceError as error:
            self._report(Unreachable(str(error)))
            self._unanswered = self._unanswered + 1 if isinstance(error, NoResponse) else 0
            if self._unanswered >= _MAX_UNANSWERED:
                self._replace(f"{self._unanswered} times no answer over an open connection")
        else:
            self._unanswered = 0
            self._backoff.reset()
            self._answered_at = self._clock()
            self._report(report_of(node, self._settings.path))
        return _POLL_S

    def _read(self) -> NodeState:
        node = self._session.read_node(_RESPONSE_S, watch=True)
        if self._is_behind(node):
            self._session.sync(_RESPONSE_S)
            node = self._session.read_node(_RESPONSE_S, watch=True)
        if self._is_behind(node):
            self._check_restored(node)
        self._behind_since = None
        self._seen_zxid = node.zxid
        self._seen_mzxid = node.mzxid or self._seen_mzxid
        return node

    def _is_behind(self, node: NodeState) -> bool:
        return node.zxid < self._seen_zxid or (node.data is not None and node.mzxid < self._seen_mzxid)

    def _check_restored(self, node: NodeState) -> None:
        """Raise SourceError, unless servers have been behind for so long that their data were restored."""
        now = self._clock()
        self._behind_since = self._behind_since or now
        progress = f"transaction {node.zxid:#x} after {self._seen_zxid:#x}"
        if now - self._behind_since < _RESTORED_AFTER_S:
            raise SourceError(
                f"the ZooKeeper server lags behind what was already seen ({progress}); "
                f"if its data were restored, they are taken over after {_RESTORED_AFTER_S:g} s"
            )
        log.warning("ZooKeeper's data went back (%s); its document is used all the same", progress)
        self._seen_mzxid = 0

    def _reconnect(self) -> float:
        """Report that there is no connection, and replace the client where kazoo does not reconnect by itself."""
        now = self._clock()
        age = now - self._opened_at
        problem = self._session.problem
        if problem or age > _RESPONSE_S:
            self._report(Unreachable(problem or f"ZooKeeper at {self._settings.hosts} does not answer"))
        if self._session.terminated and age >= self._backoff.pause_s:
            self._backoff.fail()
            self._replace(problem)
        elif now - max(self._answered_at, self._opened_at) > _REPLACE_AFTER_S:
            self._replace(f"no connection for {_REPLACE_AFTER_S:g} s")
        return min(_POLL_S, self._backoff.pause_s)

    def _replace(self, why: str) -> None:
        log.debug("replacing the ZooKeeper client: %s", why)
        self._session.close()
        self._session = ZooKeeperSession(self._settings, self._wake)
        self._session.start()
        self._opened_at = self._clock()
        self._unanswered = 0

    def _report(self, report: Report) -> None:
        # While one server after the other is tried, reasons change fast: a new one may wait.
        recent = self._clock() < self._reported_at + _POLL_S
        if isinstance(report, Unreachable) and (
            report == self._last or (recent and isinstance(self._last, Unreachable))
        ):
            return
        self._last = report
        self._reported_at = self._clock()
        with self._delivering:
            if not self._stopping:
                self._deliver(report)


def report_of(node: NodeState, path: str) -> Content | Missing:
    """Return the report of a node."""
    if node.data is None:
        return Missing(f"ZooKeeper has no node {path}")
    if not node.data:
        return Missing(f"the node {path} of ZooKeeper holds nothing")
    return Content(node.data, f"{node.mzxid:#x}")
