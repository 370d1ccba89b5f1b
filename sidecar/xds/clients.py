"""The clients of xDS, connected or gone: what they acknowledged and rejected, with a log line for rejections."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sidecar.backoff import Backoff
from sidecar.counters import LabeledCounters
from sidecar.followers.registry import Follower, FollowerKind
from sidecar.followers.xds_clients import EndpointsStatus, XdsClient, XdsClients
from sidecar.xds.kinds import Kind

log = logging.getLogger(__name__)

# Clients that left and are still shown.
_MAX_LEFT = 100
# Hundreds of clients reject the same thing at once, and again at each change.
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 600.0


class Clients:
    """Keeps what streams report about their clients; each stream is its own client. For any thread."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], int] = time.time_ns,
        *,
        endpoints: Callable[[], EndpointsStatus] | None = None,
    ) -> None:
        self._wall_clock = wall_clock
        self._endpoints = endpoints
        self.responses = LabeledCounters()
        self._clock = clock
        self._lock = threading.Lock()
        self._connected: dict[object, XdsClient] = {}
        self._left: dict[tuple[str, str], XdsClient] = {}
        self._throttles = {kind: _Throttle(clock) for kind in Kind}

    @property
    def shown(self) -> XdsClients:
        """The clients for the JSON API and the metrics."""
        return XdsClients(self.all, self.responses.totals, self._endpoints)

    def followers(self) -> tuple[Follower, ...]:
        """Return each client's version of each type: the one acknowledged, or why it rejected the newest."""
        now = self._wall_clock()
        return tuple(
            Follower(
                FollowerKind.XDS,
                f"{client.node or '-'} {client.address}",
                f"{each.type} {' '.join(each.names)}",
                f"rejected: {each.rejection.message}" if each.rejection else each.acknowledged,
                # gRPC finds out within 40 s that a client is gone.
                now if client.connected else client.seen_ns,
            )
            for client in self.all()
            for each in client.subscriptions
        )

    def all(self) -> Sequence[XdsClient]:
        """Return the clients that are connected, then those that left, the newest last."""
        with self._lock:
            return (*self._connected.values(), *self._left.values())

    def report(self, stream: object, client: XdsClient) -> None:
        """Show a stream's client as it is now."""
        with self._lock:
            self._connected[stream] = client
            self._left.pop((client.node, client.protocol), None)

    def leave(self, stream: object) -> None:
        """Show a stream's client as one that left, unless it is connected by another stream or was never shown."""
        with self._lock:
            client = self._connected.pop(stream, None)
            if client is None:
                return
            key = client.node, client.protocol
            if key not in {(each.node, each.protocol) for each in self._connected.values()}:
                self._left.pop(key, None)
                self._left[key] = replace(client, connected=False)
            while len(self._left) > _MAX_LEFT:
                del self._left[next(iter(self._left))]

    def count(self, kind: Kind, outcome: str) -> None:
        """Count a response that was sent, acknowledged or rejected."""
        self.responses.increment(kind.label, outcome)()

    def log_rejection(self, kind: Kind, client: XdsClient, version: str, message: str) -> None:
        """Log that a client rejected a version; of many in a row only some, and how many there were."""
        with self._lock:
            more = self._throttles[kind].passes()
        if more is None:
            return
        rest = f" ({more} more were not logged)" if more else ""
        log.warning(
            "%s at %s rejects version %s of its %s resources and keeps what it had: %s%s",
            client.node or "a client without a node id",
            client.address,
            version,
            kind.label,
            message,
            rest,
        )


class _Throttle:
    """Lets through what comes seldom; the pause after each doubles, until nothing has come for the longest one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S, clock=clock)
        self._came = clock()
        self._more = 0

    def passes(self) -> int | None:
        """Return how many were held back since the last one that passed, None where this one is held back too."""
        now = self._clock()
        if now - self._came > _LONGEST_PAUSE_S:
            self._backoff.reset()
        self._came = now
        if self._backoff.remaining_s:
            self._more += 1
            return None
        self._backoff.fail()
        more, self._more = self._more, 0
        return more
