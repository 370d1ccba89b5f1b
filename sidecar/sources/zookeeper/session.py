"""A ZooKeeper session on kazoo: every call is bounded in time, and the reason for each failure is known."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    BadVersionError,
    InvalidACLError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
)
from kazoo.handlers.threading import KazooTimeoutError, SequentialThreadingHandler
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import Callback, KazooState, ZnodeStat
from kazoo.retry import KazooRetry

from sidecar.errors import NoResponse, SourceError, WriteConflict
from sidecar.sources.tls import client_context
from sidecar.sources.zookeeper.settings import ZooKeeperSettings

# How soon a silent server is given up. There are no ephemeral nodes, so the session may be this short.
_SESSION_SECONDS = 4.0
_CONNECT_SECONDS = 2.0
# ZooKeeper's default limit of a request (jute.maxbuffer), and what of it is reserved for all but the text.
_REQUEST_BYTES = 0xFFFFF
_REQUEST_REST = 2048


@dataclass(frozen=True, slots=True)
class NodeState:
    """The node as one server has it; `data` is None if there is no node.

    `mzxid` is the transaction that wrote the node last, `version` its counter of writes, `zxid` the newest transaction
    of the server. Across an ensemble all but `version` only grow, as long as it keeps its data.
    """

    data: bytes | None
    mzxid: int
    version: int
    zxid: int


class ZooKeeperSession:
    """A kazoo client, for one thread. `changed` is set whenever the node or the connection may have changed.

    Each method returns within its timeout, or raises a SourceError that says what to do.
    """

    def __init__(self, settings: ZooKeeperSettings, changed: threading.Event) -> None:
        self._settings = settings
        self._changed = changed
        self._errors = _ConnectionErrors(changed)
        self._handler = _Handler(settings)
        # A logger that nobody can configure by name: kazoo's DEBUG log holds the password.
        logger = logging.Logger("kazoo", level=logging.WARNING)  # noqa: LOG001
        logger.addHandler(self._errors)
        self._client: Any = KazooClient(
            hosts=settings.hosts,
            timeout=_SESSION_SECONDS,
            handler=self._handler,
            auth_data=[("digest", ":".join(settings.digest))] if settings.digest else None,
            sasl_options=_sasl_options(settings),
            connection_retry=KazooRetry(max_tries=-1, delay=0.2, backoff=2, max_jitter=0.4, max_delay=1.0),
            logger=logger,
        )
        self._client.add_listener(self._state_changed)

    def start(self) -> None:
        """Start connecting; returns at once."""
        self._client.start_async()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as kazoo knows."""
        return bool(self._client.connected)

    @property
    def terminated(self) -> bool:
        """Whether kazoo has given up for good: it was refused, or failed by a bug of its own."""
        routine = self._client._connection._connection_routine  # noqa: SLF001 - nothing else shows that it died
        return routine is None or not routine.is_alive()

    @property
    def problem(self) -> str:
        """Why there is no connection, server by server; "" while the reason is unknown."""
        if self._errors.last.startswith("AUTH_FAILED"):
            return f"ZooKeeper at {self._settings.hosts} refused {self._settings.identity}: check user and password"
        why = "; ".join(f"{server}: {outcome}" for server, outcome in sorted(self._handler.tried.items()))
        if why:
            return f"ZooKeeper cannot be reached: {why}"
        return (
            f"ZooKeeper at {self._settings.hosts} cannot be reached: {self._errors.last}" if self._errors.last else ""
        )

    def connect(self, timeout: float) -> None:
        """Wait for a connection. Raises SourceError."""
        deadline = time.monotonic() + timeout
        while not self.connected:
            left = deadline - time.monotonic()
            if self.terminated or left <= 0:
                raise SourceError(
                    self.problem or f"ZooKeeper at {self._settings.hosts} did not answer in {timeout:.1f} s"
                )
            self._changed.wait(min(left, 0.5))
            self._changed.clear()

    def read_node(self, timeout: float, *, watch: bool = False) -> NodeState:
        """Read the node; with `watch`, `changed` is set when it is next written, deleted or created."""
        path = self._settings.path
        watcher = self._node_changed if watch else None
        deadline = time.monotonic() + timeout
        while True:
            try:
                data, stat = self._result(self._client.get_async(path, watcher), deadline, "READ", path)
            except NoNodeError:
                if self._result(self._client.exists_async(path, watcher), deadline, "READ", path) is None:
                    return NodeState(None, 0, 0, self._client.last_zxid)
            else:
                return NodeState(data or b"", stat.mzxid, stat.version, self._client.last_zxid)

    def sync(self, timeout: float) -> None:
        """Make the server catch up with the leader of its ensemble."""
        path = self._settings.path
        self._result(self._client.sync_async(path), time.monotonic() + timeout, "READ", path)

    def replace(self, text: bytes, version: int, timeout: float) -> int:
        """Write the node if it is at `version`, which may be 0; return its new mzxid. Raises WriteConflict."""
        self._check_size(text)
        path = self._settings.path
        asked = self._client.set_async(path, text, version)
        try:
            stat: ZnodeStat = self._result(asked, time.monotonic() + timeout, "WRITE", path, writing=True)
        except (BadVersionError, NoNodeError) as error:
            raise WriteConflict(
                f"{path}: somebody else wrote or deleted the node meanwhile; nothing was written"
            ) from error
        return int(stat.mzxid)

    def create(self, text: bytes, timeout: float) -> int:
        """Create the node; return its mzxid. Raises WriteConflict if it exists."""
        self._check_size(text)
        deadline = time.monotonic() + timeout
        path, acl = self._settings.path, list(self._settings.acl)
        parent = path.rpartition("/")[0] or "/"
        try:
            if self._settings.create_parents:
                self._create_parents(deadline)
            asked = self._client.create_async(path, text, acl, include_data=True)
            _, stat = self._result(asked, deadline, "CREATE", parent, writing=True)
        except NodeExistsError as error:
            raise WriteConflict(f"{path}: somebody else created the node meanwhile; nothing was written") from error
        except NoNodeError as error:
            raise SourceError(
                f"{path}: there is no parent node {parent}; create it or set zookeeper-create-parents"
            ) from error
        return int(stat.mzxid)

    def close(self) -> threading.Thread:
        """End the session on a thread of its own, which is returned: kazoo may take long, and nobody has to wait."""
        self._client.remove_listener(self._state_changed)
        thread = threading.Thread(target=self._close, name="zookeeper-close", daemon=True)
        thread.start()
        return thread

    def _close(self) -> None:
        try:
            self._client.stop()
            self._client.close()
        except Exception as error:  # noqa: BLE001 - the client is given up; its threads end by themselves
            self._errors.last = str(error)

    def _create_parents(self, deadline: float) -> None:
        above = ""
        for name in self._settings.path.split("/")[1:-1]:
            node = f"{above}/{name}"
            if self._result(self._client.exists_async(node), deadline, "READ", node) is None:
                try:
                    asked = self._client.create_async(node, b"", list(self._settings.acl))
                    self._result(asked, deadline, "CREATE", above or "/")
                except NodeExistsError:
                    pass
            above = node

    def _result(self, asked: IAsyncResult, deadline: float, right: str, path: str, *, writing: bool = False) -> Any:  # noqa: ANN401
        """Return the result. Raises SourceError; kazoo's errors about the node itself are for the caller."""
        unknown = "; it is not known whether it was written: read it again" if writing else ""
        hosts = self._settings.hosts
        started = time.monotonic()
        try:
            return asked.get(timeout=max(0.0, deadline - started))
        except (NoNodeError, NodeExistsError, BadVersionError):
            raise
        except NoAuthError as error:
            who = self._settings.identity
            raise SourceError(
                f"ZooKeeper gives {who} no {right} permission on {path}: check its ACL (getAcl {path})"
            ) from error
        except InvalidACLError as error:
            raise SourceError(
                "ZooKeeper refuses the ACL of the new node: `auth`, the default with credentials, needs some that it "
                "knows, and a scheme must be one it knows; set zookeeper-acl"
            ) from error
        except AuthFailedError as error:
            raise SourceError(
                f"ZooKeeper at {hosts} refused {self._settings.identity}: check user and password"
            ) from error
        except KazooTimeoutError as error:
            waited = time.monotonic() - started
            raise NoResponse(f"ZooKeeper at {hosts} did not answer in {waited:.1f} s{unknown}") from error
        except KazooException as error:
            why = self.problem or f"ZooKeeper at {hosts}: {type(error).__name__}"
            raise SourceError(f"{why}{unknown}") from error

    def _check_size(self, text: bytes) -> None:
        most = _REQUEST_BYTES - _REQUEST_REST - len(self._settings.path.encode())
        if len(text) > most:
            raise SourceError(
                f"the document has {len(text)} bytes, ZooKeeper takes {most} for {self._settings.path} (1 MB a request)"
            )

    def _state_changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self._errors.last = ""
            self._handler.tried = {}
        self._changed.set()

    def _node_changed(self, event: object) -> None:
        del event
        self._changed.set()


class _Handler(SequentialThreadingHandler):  # type: ignore[misc] # kazoo has no types
    """Kazoo's threads, with a connect that times out early, trusts the given CA alone, and remembers failures.

    `tried` is what became of the attempts to connect since the last session, by server.
    """

    def __init__(self, settings: ZooKeeperSettings) -> None:
        super().__init__()
        self._settings = settings
        self.tried: Mapping[str, str] = {}

    def dispatch_callback(self, callback: Callback) -> None:
        """Call back on the connection's thread: ours only set an event, and need no thread of their own."""
        callback.func(*callback.args)

    def create_connection(
        self, address: tuple[str, int], hostname: str | None = None, timeout: float = _CONNECT_SECONDS, **_: object
    ) -> socket.socket:
        host, port = hostname or address[0], address[1]
        try:
            connection = socket.create_connection(address, min(timeout, _CONNECT_SECONDS))
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                used = self._encrypted(connection, host) if self._settings.tls else connection
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            self._record(f"{host}:{port}", str(error.strerror or error))
            raise
        # Until there is a session, which empties `tried`.
        self._record(f"{host}:{port}", "takes the connection, but opens no session")
        return used

    def _record(self, server: str, outcome: str) -> None:
        self.tried = {**self.tried, server: outcome}

    def _encrypted(self, connection: socket.socket, hostname: str) -> socket.socket:
        # A new context for each connection: a renewed certificate is used without a restart.
        context = client_context(self._settings.ca, self._settings.cert, self._settings.key)
        return context.wrap_socket(connection, server_hostname=hostname)


class _ConnectionErrors(logging.Handler):
    """Keeps kazoo's last warning, the only place where it gives the reason why a connection ended."""

    def __init__(self, changed: threading.Event) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._changed = changed

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message == "Transition to CONNECTING":
            return
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {record.exc_info[1]}"
        self.last = message.removeprefix("Connection dropped: ")
        self._changed.set()


def _sasl_options(settings: ZooKeeperSettings) -> dict[str, str] | None:
    if settings.sasl is None:
        return None
    user, password = settings.sasl
    return {"mechanism": "DIGEST-MD5", "username": user, "password": password}
