"""The long poll: a request that a config service holds until there is a release, and then names it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar.backoff import Backoff
from sidecar.errors import SourceError
from sidecar.sources.apollo.settings import ApolloSettings
from sidecar.sources.apollo.url import ApolloAddress
from sidecar.sources.apollo.web import connection_to, json_of, path_of, query_of, signed_get, unexpected
from sidecar.sources.http import HttpConnection

log = logging.getLogger(__name__)

POLL_TIMEOUT_S = 95.0
"""A config service holds a poll for 60 s, or up to 90 where it is configured so."""

_FIRST_ID = -1
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 3.0
_HELD_S = 1.0
"""A poll that was held for so long before it failed is a success: something merely ends long connections."""

_SHORTEST_S = 0.1
"""Seconds between the starts of two polls, at least: a server that holds none must not be called in a loop."""


@dataclass(frozen=True, slots=True)
class Announcements:
    """The answers of the polls: how often a release was announced, by which server last, and what to send back."""

    count: int = 0
    server: ApolloAddress | None = None
    messages: dict[str, int] = field(default_factory=dict)


class LongPoll:
    """Polls the service that `follow` names, and calls `wake` at each announcement and when a poll fails.

    Only a hint: the reads decide. It begins with the first `follow`, and after a failure pauses until the
    next one: while no service answers, nothing is polled.
    """

    def __init__(self, settings: ApolloSettings, wake: Callable[[], None]) -> None:
        self._settings = settings
        self._wake = wake
        self._id = _FIRST_ID
        self._announced = Announcements()
        self._server: ApolloAddress | None = None
        self._connection: HttpConnection | None = None
        self._restart = False
        self._lock = threading.Lock()
        self._may_poll = threading.Event()
        self._stopping = threading.Event()
        self._backoff = Backoff(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        self._thread = threading.Thread(target=self._run, name="apollo-poll", daemon=True)

    @property
    def announced(self) -> Announcements:
        """The answers of the polls until now."""
        return self._announced

    def start(self) -> None:
        """Start; returns at once."""
        self._thread.start()

    def follow(self, server: ApolloAddress, *, afresh: bool = False) -> None:
        """Poll this service, which has just answered; `afresh` forgets the announcements and polls at once."""
        with self._lock:
            if afresh or server != self._server:
                self._server = server
                self._restart = self._restart or afresh
                if self._connection is not None:
                    self._connection.interrupt()
        self._may_poll.set()

    def stop(self) -> None:
        """Let the thread end; `join` waits for it."""
        self._stopping.set()
        self._may_poll.set()
        with self._lock:
            if self._connection is not None:
                self._connection.abort()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        self._may_poll.wait()
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._poll()
            except SourceError as error:
                if time.monotonic() - began > _HELD_S:
                    self._backoff.reset()
                self._failed(str(error))
            except Exception as error:
                log.exception("the long poll of Apollo failed unexpectedly")
                self._failed(type(error).__name__)
            else:
                self._backoff.reset()
                self._stopping.wait(max(0.0, _SHORTEST_S - (time.monotonic() - began)))
        if self._connection is not None:
            self._connection.close()

    def _failed(self, why: str) -> None:
        with self._lock:
            interrupted = self._restart or (self._connection is not None and self._connection.server != self._server)
            if not interrupted:
                self._may_poll.clear()
        if interrupted or self._stopping.is_set():
            return
        log.debug("the long poll of Apollo failed: %s", why)
        self._backoff.fail()
        self._wake()
        self._backoff.wait(self._stopping)
        self._may_poll.wait()

    def _poll(self) -> None:
        server, connection = self._connect()
        key = self._settings.key
        asked = [{"namespaceName": key.namespace, "notificationId": self._id}]
        path = path_of("notifications", "v2") + query_of(
            appId=key.app,
            cluster=key.cluster,
            dataCenter=self._settings.data_center,
            ip=self._settings.ip,
            notifications=json.dumps(asked, separators=(",", ":")),
        )
        answer = signed_get(connection, server, path, self._settings, POLL_TIMEOUT_S)
        if answer.status == 304:
            return
        content = json_of(answer)
        if answer.status != 200 or not isinstance(content, list):
            raise unexpected(server, answer)
        for notification in content:
            self._take(server, notification)

    def _connect(self) -> tuple[ApolloAddress, HttpConnection]:
        with self._lock:
            server = self._server
            assert server is not None
            if self._restart:
                self._restart = False
                self._id = _FIRST_ID
                self._announced = Announcements(self._announced.count)
            if self._connection is None or self._connection.server != server or self._stopping.is_set():
                if self._connection is not None:
                    self._connection.close()
                self._connection = connection_to(server, self._settings)
                if self._stopping.is_set():
                    self._connection.abort()
            return server, self._connection

    def _take(self, server: ApolloAddress, notification: object) -> None:
        if not isinstance(notification, dict) or not isinstance(notification.get("notificationId"), int):
            raise SourceError(f"{server} announces a release without a number: is it a config service of Apollo?")
        number: int = notification["notificationId"]
        messages = notification.get("messages")
        details = messages.get("details") if isinstance(messages, dict) else None
        known = self._announced.messages
        # A lower number than before is that of a server with another database: nothing older applies there.
        merged = dict(known) if number >= self._id else {}
        for name, value in details.items() if isinstance(details, dict) else ():
            if isinstance(value, int):
                merged[name] = max(value, merged.get(name, value))
        self._id = number
        self._announced = Announcements(self._announced.count + 1, server, merged)
        self._wake()
