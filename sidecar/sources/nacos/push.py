"""The push: a thread that keeps a session of the SDK open in an event loop, to wake the reader at each change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sidecar.backoff import Backoff
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.url import NacosKey
from sidecar.sources.tls import ClientTls

if TYPE_CHECKING:
    from sidecar.sources.nacos.sdk import SdkSession

log = logging.getLogger(__name__)

CHECK_S = 1.0
PROVED_CHECK_S = 2.5
# A server questions a connection that is silent for 20 s. Nacos 3.1 had dropped the push afterwards, each time.
SILENT_S = 15.0
DEAF_AFTER_S = 5.0
HEALTH_CHECK_S = 3.3
PROVED_AFTER_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_STABLE_S = 30.0


class PushListener:
    """Wakes the reader at each notification of the server; nothing in here can block the reader.

    A session is closed as soon as a read fails, and another one is opened once reads succeed again: the SDK never
    reconnects, which is where most of its defects are. A session that has not received within 5 s what a read found is
    deaf, and replaced too. Without a session changes are found by the reader's polling.

    The push is proved while the session has received the version that reads find, nothing has changed for 10 s, and the
    server answers health checks over the session's connection, midway between two reads. Any doubt wakes the reader.
    """

    def __init__(
        self,
        target: Callable[[], NacosKey],
        credentials: NacosCredentials,
        tls: ClientTls | None,
        *,
        address: str,
        token: Callable[[], str],
        wake: Callable[[], None],
        reread_s: float,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._tls = tls
        self._address = address
        self._token = token
        self._wake = wake
        # A check costs the server nearly as much as a read: so, one for each read.
        self._check_s = max(HEALTH_CHECK_S, reread_s / 2)
        self._read_at = 0.0
        self._session: SdkSession | None = None
        self._answered = False
        # The version that the last read found, None if it failed, and since when that is so.
        self._last_read: tuple[str | None, float] = (None, 0.0)
        self._logged = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="nacos-push", daemon=True)

    def start(self) -> None:
        """Start; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds; what of the SDK hangs longer ends with the process."""
        self._stopped = True
        loop, main = self._loop, self._main
        if loop is not None and main is not None:
            with contextlib.suppress(RuntimeError):  # The loop has just ended.
                loop.call_soon_threadsafe(main.cancel)
        self._thread.join(timeout)

    def observed(self, version: str | None) -> None:
        """Note the version that the last read found, None if it failed. Any thread."""
        self._read_at = time.monotonic()
        if version != self._last_read[0]:
            self._last_read = version, time.monotonic()

    def has_moved(self, before: str, now: str) -> bool:
        """Return whether the session's server has moved from `before` to `now`. Any thread."""
        session = self._session
        return session is not None and session.has_moved(before, now)

    def is_proved(self, version: str) -> bool:
        """Return whether the push is proved to work, with `version` as the newest that it has received. Any thread."""
        session = self._session
        since = self._last_read[1]
        return (
            session is not None
            and self._answered
            and version != ""
            and session.shown == version == self._last_read[0]
            and time.monotonic() - since > PROVED_AFTER_S
        )

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("the push from Nacos has failed; changes are still seen within 2 s; a restart brings it back")

    async def _serve(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        # Errors of the SDK's orphaned tasks say nothing: the state of the session does.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        backoff = Backoff(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
        while not self._stopped:
            if self._last_read[0] is None:
                await asyncio.sleep(CHECK_S)
                continue
            began = time.monotonic()
            reason = await self._run_session()
            # A read shows whether the server is down or only the push is broken.
            self._wake()
            if not reason or time.monotonic() - began > _STABLE_S:
                backoff.reset()
            await asyncio.sleep(backoff.fail())
            if reason and self._last_read[0] is not None:
                self._log_state(reason)

    async def _run_session(self) -> str:
        """Open a session and watch it to its end; return what broke it, "" if reads failed too."""
        try:
            from sidecar.sources.nacos import sdk  # noqa: PLC0415 - 80 MB and a second, so not before this thread needs it

            session = await sdk.SdkSession.open(
                self._target(),
                self._credentials,
                self._tls,
                address=self._address,
                token=self._token,
                changed=self._wake,
            )
        except Exception as error:  # noqa: BLE001 - any error of the SDK, also for private parts that a later version moved
            return f"no session: {type(error).__name__}: {error}"
        self._session = session
        try:
            return await self._watch_session(session)
        finally:
            self._session, self._answered = None, False
            self._wake()
            await session.close()

    async def _watch_session(self, session: SdkSession) -> str:
        checked_at = 0.0
        while True:
            version, since = self._last_read
            if version is None:
                return ""
            if (fault := session.fault()) is not None:
                return fault
            if session.shown == version:
                self._log_state("")
            elif min(time.monotonic() - since, session.age) > DEAF_AFTER_S:
                return "it has not received a change that a read found"
            if self._check_is_due(checked_at):
                await self._check_health(session)
                checked_at = time.monotonic()
            if self._answered:
                session.omit_own_check()
            await asyncio.sleep(PROVED_CHECK_S if self.is_proved(version) else CHECK_S)

    def _check_is_due(self, checked_at: float) -> bool:
        """Return whether it is time for a health check: midway between reads, as a read shows that the server works."""
        now = time.monotonic()
        if not self._answered:
            return now - checked_at >= HEALTH_CHECK_S
        longest = min(3 * self._check_s, SILENT_S)
        return now - max(checked_at, self._read_at) >= self._check_s or now - checked_at >= longest

    async def _check_health(self, session: SdkSession) -> None:
        """Note whether the server answers over the session's connection; the SDK replaces a connection that broke."""
        answered, self._answered = self._answered, await session.answers()
        if answered and not self._answered:
            self._wake()

    def _log_state(self, reason: str) -> None:
        """Log each state once, however often sessions fail for the same reason."""
        if reason == self._logged:
            return
        if reason:
            log.warning("no push from Nacos (%s); changes are still seen within 2 s", reason)
        else:
            log.info("Nacos pushes changes")
        self._logged = reason
