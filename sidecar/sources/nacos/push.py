"""The push: a thread with the SDK's clients in one event loop, which wakes the reader and replaces what is broken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sidecar.backoff import Backoff
from sidecar.sources.nacos.credentials import NacosCredentials, NacosTls
from sidecar.sources.nacos.url import NacosKey

if TYPE_CHECKING:
    from sidecar.sources.nacos.sdk import SdkSession

log = logging.getLogger(__name__)

TICK = 0.5
DEAF_AFTER = 5.0
FIRST_RETRY = 1.0
LAST_RETRY = 60.0
_STEADY = 30.0


class PushListener:
    """Wakes the reader at each notice of the server. Nothing that happens in here can hold the reader up.

    A session is closed as soon as the reader cannot read, and a new one opened once it can again: the SDK never gets to
    reconnect, which is where most of its faults are. A session that did not show, within 5 s, what a read found is deaf
    and replaced as well. While there is none, changes are seen by the reader's own rhythm.
    """

    def __init__(
        self,
        target: NacosKey,
        credentials: NacosCredentials,
        tls: NacosTls | None,
        *,
        address: str,
        token: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._tls = tls
        self._address = address
        self._token = token
        self._wake = wake
        self._session: SdkSession | None = None
        self._held: tuple[str | None, float] = (None, 0.0)
        self._told = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="nacos-push", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End it, within `timeout` seconds; what of the SDK does not end by then ends with the process."""
        self._stopped = True
        loop, main = self._loop, self._main
        if loop is not None and main is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                loop.call_soon_threadsafe(main.cancel)
        self._thread.join(timeout)

    def saw(self, version: str | None) -> None:
        """Take the version that the last read found, None where it failed. Any thread."""
        if version != self._held[0]:
            self._held = version, time.monotonic()

    def has_moved(self, before: str, now: str) -> bool:
        """Tell whether the member that the session is connected to has gone from `before` to `now`. Any thread."""
        session = self._session
        return session is not None and session.has_moved(before, now)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("the push from Nacos ended; changes are still seen within 2 s; restart to mend it")

    async def _serve(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        # What the SDK's forgotten tasks end with is no news: the session's state is.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        backoff = Backoff(first_s=FIRST_RETRY, longest_s=LAST_RETRY)
        while not self._stopped:
            if self._held[0] is None:
                await asyncio.sleep(TICK)
                continue
            began = time.monotonic()
            reason = await self._one_session()
            # Whether the server is away, or only the push is broken, is the reader's to say.
            self._wake()
            if not reason or time.monotonic() - began > _STEADY:
                backoff.reset()
            await asyncio.sleep(backoff.fail())
            if reason and self._held[0] is not None:
                self._tell(reason)

    async def _one_session(self) -> str:
        """Open a session and stay with it to its end; return what was wrong with it, nothing where the server went."""
        try:
            from sidecar.sources.nacos import sdk  # noqa: PLC0415 - 80 MB and a second, so on this thread and not before

            session = await sdk.SdkSession.open(
                self._target,
                self._credentials,
                self._tls,
                address=self._address,
                token=self._token,
                changed=self._wake,
            )
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, or a later one does not have any more
            return f"no session: {type(error).__name__}: {error}"
        self._session = session
        try:
            return await self._stay(session)
        finally:
            self._session = None
            await session.close()

    async def _stay(self, session: SdkSession) -> str:
        while True:
            held, since = self._held
            if held is None:
                return ""
            if (fault := session.fault()) is not None:
                return fault
            if session.shown == held:
                self._tell("")
            elif min(time.monotonic() - since, session.age) > DEAF_AFTER:
                return "it did not tell of a change that a read found"
            await asyncio.sleep(TICK)

    def _tell(self, reason: str) -> None:
        """Say each state once: nothing that repeats itself may fill a log."""
        if reason == self._told:
            return
        if reason:
            log.warning("no push from Nacos (%s); changes are still seen within 2 s", reason)
        else:
            log.info("Nacos pushes changes")
        self._told = reason
