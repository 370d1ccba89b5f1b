"""The watching of the node: one thread that looks when told to and every now and then, and replaces a broken client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sidecar.backoff import Backoff, jitter
from sidecar.errors import SourceError
from sidecar.sources.base import Content, Missing, Report, Unreachable
from sidecar.sources.zookeeper.session import NodeState, NoResponse, ZooKeeperSession
from sidecar.sources.zookeeper.settings import ZooKeeperSettings

log = logging.getLogger(__name__)

# An independent look, whether or not a watch told of a change: freshness is known by it, not by the absence of errors.
_LOOK_EVERY = 2.0
_ANSWER_WITHIN = 2.0
# A client that has no connection for so long is replaced. It may be stuck for good: in its session it insists on a
# server that has seen all that it has, which an ensemble set up anew never will.
_REPLACE_AFTER = 20.0
# So many looks without an answer, over a connection that seems to be up, and it is replaced, too.
_DEAF_AFTER = 3
# A client that kazoo gave up is replaced after these pauses.
_BACKOFF_FROM, _BACKOFF_TO = 0.5, 3.0
# A server that lags behind what was seen is not believed. One that does so for longer than any deposed leader could,
# and after a `sync`, belongs to an ensemble whose data were restored or lost: then its word is the truth.
_RESTORED_AFTER = 15.0


class NodeWatch:
    """Reports the node to `deliver` between `start` and `stop`; kazoo's callbacks do no more than wake its thread."""

    def __init__(
        self,
        settings: ZooKeeperSettings,
        deliver: Callable[[Report], None],
        *,
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
        self._told_at = 0.0
        # The newest transactions that any server showed: of the whole ensemble, and of the node.
        self._seen_zxid = 0
        self._seen_mzxid = 0
        self._behind_since: float | None = None
        self._session = ZooKeeperSession(settings, self._wake)
        self._opened_at = self._answered_at = clock()
        self._backoff = Backoff(first_s=_BACKOFF_FROM, longest_s=_BACKOFF_TO, clock=clock)
        self._unanswered = 0

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End it within `timeout` seconds; what still hangs then ends by itself, and delivers nothing."""
        self._deadline = self._clock() + timeout
        with self._delivering:
            self._stopping = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        self._session.start()
        while True:
            # In this order, or the wake-up of a `stop` in between would be lost.
            self._wake.clear()
            if self._stopping:
                break
            try:
                pause = self._turn()
            except Exception:
                log.exception("watching %s failed, it goes on", self._settings.path)
                pause = _LOOK_EVERY
            self._wake.wait(jitter(pause))
        self._session.close().join(max(0.0, self._deadline - self._clock()))

    def _turn(self) -> float:
        """Look once and report; return for how many seconds to wait unless woken."""
        if not self._session.connected:
            return self._reconnect()
        try:
            view = self._look()
        except SourceError as error:
            self._report(Unreachable(str(error)))
            self._unanswered = self._unanswered + 1 if isinstance(error, NoResponse) else 0
            if self._unanswered >= _DEAF_AFTER:
                self._replace(f"{self._unanswered} times no answer over an open connection")
        else:
            self._unanswered = 0
            self._backoff.reset()
            self._answered_at = self._clock()
            self._report(describe(view, self._settings.path))
        return _LOOK_EVERY

    def _look(self) -> NodeState:
        view = self._session.look(_ANSWER_WITHIN, watch=True)
        if self._is_behind(view):
            self._session.sync(_ANSWER_WITHIN)
            view = self._session.look(_ANSWER_WITHIN, watch=True)
        if self._is_behind(view):
            self._believe_after_a_while(view)
        self._behind_since = None
        self._seen_zxid = view.zxid
        self._seen_mzxid = view.mzxid or self._seen_mzxid
        return view

    def _is_behind(self, view: NodeState) -> bool:
        return view.zxid < self._seen_zxid or (view.data is not None and view.mzxid < self._seen_mzxid)

    def _believe_after_a_while(self, view: NodeState) -> None:
        now = self._clock()
        self._behind_since = self._behind_since or now
        progress = f"transaction {view.zxid:#x} after {self._seen_zxid:#x}"
        if now - self._behind_since < _RESTORED_AFTER:
            raise SourceError(
                f"the ZooKeeper server lags behind what was already seen ({progress}); "
                f"if its data were restored, they are taken over after {_RESTORED_AFTER:g} s"
            )
        log.warning("ZooKeeper's data went back (%s): its document is taken over all the same", progress)
        self._seen_mzxid = 0

    def _reconnect(self) -> float:
        """Say that there is no connection, and help kazoo where it does not find one by itself."""
        now = self._clock()
        young = now - self._opened_at
        trouble = self._session.trouble
        if trouble or young > _ANSWER_WITHIN:
            self._report(Unreachable(trouble or f"ZooKeeper at {self._settings.hosts} does not answer"))
        if self._session.ended and young >= self._backoff.pause_s:
            self._backoff.fail()
            self._replace(trouble)
        elif now - max(self._answered_at, self._opened_at) > _REPLACE_AFTER:
            self._replace(f"no connection for {_REPLACE_AFTER:g} s")
        return min(_LOOK_EVERY, self._backoff.pause_s)

    def _replace(self, why: str) -> None:
        log.debug("the ZooKeeper client is replaced: %s", why)
        self._session.close()
        self._session = ZooKeeperSession(self._settings, self._wake)
        self._session.start()
        self._opened_at = self._clock()
        self._unanswered = 0

    def _report(self, report: Report) -> None:
        # A new reason may wait: while one server after the other is tried, there would be many.
        recent = self._clock() < self._told_at + _LOOK_EVERY
        if isinstance(report, Unreachable) and (
            report == self._last or (recent and isinstance(self._last, Unreachable))
        ):
            return
        self._last = report
        self._told_at = self._clock()
        with self._delivering:
            if not self._stopping:
                self._deliver(report)


def describe(view: NodeState, path: str) -> Content | Missing:
    """Return the report of what a server showed."""
    if view.data is None:
        return Missing(f"ZooKeeper has no node {path}")
    if not view.data:
        return Missing(f"the node {path} of ZooKeeper holds nothing")
    return Content(view.data, f"{view.mzxid:#x}")
