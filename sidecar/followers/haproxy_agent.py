"""Answers HAProxy's agent checks: the weight of each datacenter's servers follows the shares of an application.

A check is a TCP connection: HAProxy sends the line of `agent-send`, here `APP DATACENTER`, and reads one line
(HAProxy's Configuration Manual, `agent-check`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

from sidecar.errors import ConfigError
from sidecar.followers.registry import FollowerKind, FollowerRegistry
from sidecar.routing.activity import activity
from sidecar.routing.location import NAME
from sidecar.routing.outage import OutageKind
from sidecar.routing.state import State
from sidecar.table import ViewProvider

log = logging.getLogger(__name__)

MOST = 256
"""Connections at the same time; more are closed at once, and HAProxy keeps the state that it has."""
REQUEST_S = 2.0
"""Seconds for the line of a check, from the begin of its connection."""

# An application and a datacenter are at most 256 and 63 characters long, of up to four bytes.
_MAX_LINE = 2048
_BACKLOG = 64
_MAX_APP = 256


def agent_answer(state: State, app: str, datacenter: str) -> str:
    """Return the states and the weight of a datacenter's servers, as HAProxy reads them.

    `ready` ends an earlier `drain` or `maint`, which HAProxy would keep. The weight is in percent of the server's own,
    at least 1 where the datacenter has any share.
    """
    found = activity(state, app, datacenter)
    if found.active:
        return f"ready up {100 if found.share is None else max(1, round(100 * found.share))}%"
    # Work has left a datacenter after faults: it is in service, and gets work again where no other is left.
    out = found.outage is not None and found.outage.kind is not OutageKind.FAILED_OVER
    return "maint" if out else "drain"


class HaproxyAgent:
    """Serves agent checks on a thread of its own, from the State that is in force.

    Without a document a check gets no answer, and neither does a line that names no datacenter: HAProxy then keeps the
    state that it has.
    """

    def __init__(
        self, table: ViewProvider, registry: FollowerRegistry, address: str, *, allow_plaintext: bool = False
    ) -> None:
        self._table = table
        self._registry = registry
        self._address = address
        self._allow_plaintext = allow_plaintext
        self._open = 0
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="haproxy-agent", daemon=True)
        self._listener: socket.socket | None = None

    def start(self) -> str:
        """Start to listen; return the address, with the port that the kernel chose. Raises ConfigError."""
        self._listener = listener = self._listen()
        self._thread.start()
        host, port = listener.getsockname()[:2]
        return f"haproxy-agent://{f'[{host}]' if ':' in host else host}:{port}"

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds; HAProxy keeps the state that it has."""
        self._stopping = True
        loop, stopped = self._loop, self._stopped
        if loop is not None and stopped is not None:
            # The loop may have ended in between.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(stopped.set)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _listen(self) -> socket.socket:
        host, _, port = self._address.rpartition(":")
        if self._address.startswith("unix:") or not port.isdigit():
            raise ConfigError(f"--haproxy-agent: found {self._address!r}, expected host:port such as 127.0.0.1:8404")
        try:
            family, *_, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
            if not self._allow_plaintext and not ip_address(str(place[0]).partition("%")[0]).is_loopback:
                raise ConfigError(
                    f"--haproxy-agent {self._address}: agent checks have no TLS, and everybody who reaches the port is "
                    "answered: expected a loopback address, or --allow-plaintext"
                )
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise ConfigError(f"--haproxy-agent {self._address}: cannot listen there: {error.strerror}") from error
        return listener

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            log.exception("the HAProxy agent failed; HAProxy keeps its last states")

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._stopping:
            self._stopped.set()
        server = await asyncio.start_server(self._check, sock=self._listener, limit=_MAX_LINE, backlog=_BACKLOG)
        try:
            await self._stopped.wait()
        finally:
            self._loop = None
            server.close()

    async def _check(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MOST:
                # A client that is gone, slow, or sends no line gets none.
                with suppress(OSError, TimeoutError, ValueError):
                    line = await asyncio.wait_for(reader.readline(), REQUEST_S)
                    answer = self._answer(line, writer.get_extra_info("peername"))
                    if answer:
                        writer.write(f"{answer}\n".encode())
                        await asyncio.wait_for(writer.drain(), REQUEST_S)
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, line: bytes, peer: tuple[str, int] | None) -> str:
        """Return the answer to the line of a check, "" for none. Raises ValueError where it is not UTF-8."""
        app, _, datacenter = line.decode().strip().rpartition(" ")
        app = app.strip()
        state = self._table.view.state
        if state is None or not 0 < len(app) <= _MAX_APP or not NAME.fullmatch(datacenter):
            return ""
        answer = agent_answer(state, app, datacenter)
        self._registry.saw(FollowerKind.HAPROXY, peer[0] if peer else "", f"{app} {datacenter}", answer)
        return answer
