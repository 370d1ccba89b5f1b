"""nacos-sdk-python, with each fault of it that we met kept in here; loads the SDK when imported, so import it late."""

from __future__ import annotations

import asyncio
import logging
import ssl
import warnings
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

from sidecar.sources.nacos.api import md5
from sidecar.sources.nacos.credentials import NacosCredentials, NacosTls
from sidecar.sources.nacos.url import NacosKey

with warnings.catch_warnings():
    # What it uses of other packages that is deprecated is nothing that our operators could mend.
    warnings.simplefilter("ignore")
    from v2.nacos import ClientConfig, NacosConfigService, TLSConfig
    from v2.nacos.transport import rpc_client
    from v2.nacos.utils.net_util import NetUtils

T = TypeVar("T")

CALL_LIMIT = 5.0
CLOSE_LIMIT = 2.0
_SHOWN = 64
_SILENT = logging.CRITICAL + 1

# Its INFO log holds access tokens and published texts. What matters of it we find out and say ourselves.
_silent_logger = logging.getLogger("config")
_silent_logger.setLevel(_SILENT)
_silent_logger.propagate = False
# In one place it logs on the root logger, at each failed reconnect, which also installs a handler where none is.
rpc_client.logging = SimpleNamespace(error=_silent_logger.error)


class SdkFault(Exception):
    """A call of the SDK failed, hung, or cancelled its caller; the message says which."""


class _Service(NacosConfigService):  # type: ignore[misc]  # the SDK is not typed
    """The SDK's client without its log file."""

    def init_log(self, client_config: Any, module: str) -> None:  # noqa: ANN401, ARG002 - the SDK's signature
        """Take the silent logger; the SDK would make folders, and add a file handler for each client ever made."""
        self.logger = _silent_logger


class SdkSession:
    """One client of the SDK, listening to one key until the first sign of trouble; never repaired, only replaced.

    It never logs in by itself (the SDK does so without a usable time limit, and puts the password into the URL), writes
    no file, and reports `address` to the server. To be used in one event loop.
    """

    def __init__(self, service: Any, shown: list[str]) -> None:  # noqa: ANN401 - the SDK is not typed
        self._service = service
        self._shown = shown
        self._opened = asyncio.get_running_loop().time()
        self._connection_id = ""

    @classmethod
    async def open(
        cls,
        target: NacosKey,
        credentials: NacosCredentials,
        tls: NacosTls | None,
        *,
        address: str,
        token: Callable[[], str],
        changed: Callable[[], None],
    ) -> SdkSession:
        """Return a session that is connected and listens; `changed` is called in the loop at each notice.

        Raises SdkFault, having closed what was open.
        """
        NetUtils.get_local_ip = staticmethod(lambda: address)
        # A key that does not exist has the empty version, which is also what a new client starts from.
        shown = [""]
        session = cls(_service(target, credentials, tls, token), shown)

        async def on_change(_namespace: str, _group: str, _data_id: str, content: str | None) -> None:
            shown.append(md5(content.encode()) if content and content.strip() else "")
            del shown[:-_SHOWN]
            changed()

        try:
            # In this order the first listening goes out with the connection, not up to 5 s later.
            await bounded(session._service.add_listener(target.data_id, target.group, on_change), CALL_LIMIT)
            await bounded(session._service.grpc_client_proxy.start(), CALL_LIMIT)
            session._connected()
        except BaseException:
            await session.close()
            raise
        return session

    def _connected(self) -> None:
        connection = self._rpc().current_connection
        if connection is None:
            raise SdkFault("no connection to the gRPC port")
        self._connection_id = connection.get_connection_id()

    @property
    def shown(self) -> str:
        """The version that the server told this session last."""
        return self._shown[-1]

    @property
    def age(self) -> float:
        """For how many seconds it has been open."""
        return asyncio.get_running_loop().time() - self._opened

    def has_moved(self, before: str, now: str) -> bool:
        """Tell whether the server told this session of `before` and then of `now`, which still holds. Any thread."""
        shown = tuple(self._shown)
        return shown[-1] == now and before in shown[:-1]

    def fault(self) -> str | None:
        """Tell what is broken in it, None for nothing. The SDK's own server_health is true for every fault here."""
        rpc = self._rpc()
        tasks = {
            "listening": self._service.grpc_client_proxy.listen_task,
            "event": rpc.event_listener_task,
            "health": rpc.health_check_task,
            "reconnecting": rpc.reconnection_task,
        }
        for name, task in tasks.items():
            if task is None or task.done():
                return f"its {name} task has ended"
        if not rpc.is_running():
            return "it lost its connection"
        if rpc.current_connection.get_connection_id() != self._connection_id:
            return "it made another connection by itself, which is when its tasks die"
        return None

    async def close(self) -> None:
        """Let go of everything; takes 2 s at most, and never raises but for our own cancellation."""
        proxy = self._service.grpc_client_proxy
        proxy.listen_task.cancel()  # its own shutdown waits for it, up to 5 s
        try:
            await bounded(self._service.shutdown(), CLOSE_LIMIT)
        except SdkFault:
            pass
        finally:
            await _end_strays()

    def _rpc(self) -> Any:  # noqa: ANN401 - the SDK is not typed
        return next(iter(self._service.grpc_client_proxy.rpc_client_manager.client_map.values()))


async def bounded(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what `call` returns; raises SdkFault when it fails, takes longer, or ends by a cancellation of its own."""
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise SdkFault(f"no answer within {seconds:g} s")
    if task.cancelled():
        raise SdkFault("the call cancelled itself")
    error = task.exception()
    if error is not None:
        raise SdkFault(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from None
    return task.result()


def _service(
    target: NacosKey, credentials: NacosCredentials, tls: NacosTls | None, token: Callable[[], str]
) -> _Service:
    access_key, secret_key = credentials.keys() if credentials.has_keys else (None, None)
    config = ClientConfig(
        server_addresses=",".join(map(str, target.servers)),
        namespace_id=target.namespace,
        access_key=access_key,
        secret_key=secret_key,
        log_level=_SILENT,
    )
    service = _Service(config)
    if tls is not None:
        # Only now: its HTTP side, which we do not use, would load the client's certificate even where there is none.
        config.tls_config = TLSConfig(
            enabled=True,
            ca_file=tls.ca or ssl.get_default_verify_paths().cafile,
            cert_file=tls.cert or "/dev/null",
            key_file=tls.key or tls.cert or "/dev/null",
        )
    cache = service.config_info_cache
    # A file in its cache overrides the server, and a folder that cannot be written blinds it: so, no cache.
    cache.write_config_to_cache = _forget
    cache.get_config_cache = cache.get_fail_over_config_cache = _nothing

    async def sign(headers: dict[str, str]) -> None:
        if token():
            headers["accessToken"] = token()

    service.grpc_client_proxy.nacos_server_connector.inject_security_info = sign
    return service


async def _forget(*_: object) -> None:
    pass


async def _nothing(*_: object) -> tuple[str, str]:
    return "", ""


async def _end_strays() -> None:
    """Cancel the tasks that the SDK started and forgot; the loop holds none but its and the one that runs now."""
    strays = asyncio.all_tasks() - {asyncio.current_task()}
    for task in strays:
        task.cancel()
    if strays:
        await asyncio.wait(strays, timeout=CLOSE_LIMIT)
