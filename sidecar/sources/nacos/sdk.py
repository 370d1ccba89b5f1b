"""Wraps nacos-sdk-python and contains its known defects; importing this module loads the SDK, so import it late."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import time
import warnings
from collections.abc import Callable, Coroutine
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from sidecar.errors import SdkFault
from sidecar.sources.nacos.api import md5
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.url import NacosKey
from sidecar.sources.tls import ClientTls

# What a listener to one key never calls: service discovery, models of AI services, encryption by Alibaba's KMS, HTTP.
# They bring 33 of the SDK's 48 MiB, and two thirds of its CPU time at the start.
_UNUSED = (
    "v2.nacos.ai.model.ai_response",
    "v2.nacos.config.filter.config_encryption_filter",
    "v2.nacos.naming.model.instance",
    "v2.nacos.naming.model.naming_param",
    "v2.nacos.naming.model.naming_request",
    "v2.nacos.naming.model.naming_response",
    "v2.nacos.naming.model.service",
    "v2.nacos.naming.nacos_naming_service",
    "v2.nacos.transport.http_agent",
)


class _Unused(ModuleType):
    """Stands for a module of the SDK that is not loaded: it has every class, each without content."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_: None})


for _name in _UNUSED:
    sys.modules.setdefault(_name, _Unused(_name))

with warnings.catch_warnings():
    # The SDK's use of deprecated parts of other packages is nothing that an operator could fix.
    warnings.simplefilter("ignore")
    from v2.nacos import ClientConfig, NacosConfigService, TLSConfig
    from v2.nacos.transport import rpc_client
    from v2.nacos.transport.model.internal_request import HealthCheckRequest
    from v2.nacos.utils.net_util import NetUtils

T = TypeVar("T")

CALL_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 2.0
CHECK_TIMEOUT_S = 1.0
_SHOWN = 64
_SILENT = logging.CRITICAL + 1

# The SDK's INFO log holds access tokens and published texts. What matters in it is found and logged here.
_silent_logger = logging.getLogger("config")
_silent_logger.setLevel(_SILENT)
_silent_logger.propagate = False
# At each failed reconnect the SDK logs on the root logger, which also installs a handler if there is none.
rpc_client.logging = SimpleNamespace(error=_silent_logger.error)


class _Service(NacosConfigService):  # type: ignore[misc]  # the SDK is not typed
    """The SDK's client without its log file."""

    def init_log(self, client_config: Any, module: str) -> None:  # noqa: ANN401, ARG002 - the SDK's signature
        """Use the silent logger; the SDK would create folders, and add a file handler for each client."""
        self.logger = _silent_logger


class SdkSession:
    """One client of the SDK that listens to one key until its first fault; it is never repaired, only replaced.

    It does not log in (the SDK does so without a usable timeout, with the password in the URL), writes no files, and
    reports `address` to the server. For one event loop.
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
        tls: ClientTls | None,
        *,
        address: str,
        token: Callable[[], str],
        changed: Callable[[], None],
    ) -> SdkSession:
        """Return a session that is connected and listens; `changed` is called in the loop at each notification.

        Raises SdkFault, with everything closed again.
        """
        NetUtils.get_local_ip = staticmethod(lambda: address)
        # A missing key has the empty version, which is also what a new client starts from.
        shown = [""]
        session = cls(_service(target, credentials, tls, token), shown)

        async def on_change(_namespace: str, _group: str, _data_id: str, content: str | None) -> None:
            shown.append(md5(content.encode()) if content and content.strip() else "")
            del shown[:-_SHOWN]
            changed()

        try:
            # In this order the listener is registered with the connection, not up to 5 s later.
            await bounded(session._service.add_listener(target.data_id, target.group, on_change), CALL_TIMEOUT_S)
            await bounded(session._service.grpc_client_proxy.start(), CALL_TIMEOUT_S)
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
        """The version that the server sent this session last."""
        return self._shown[-1]

    @property
    def age(self) -> float:
        """The seconds since it was opened."""
        return asyncio.get_running_loop().time() - self._opened

    def has_moved(self, before: str, now: str) -> bool:
        """Return whether the server sent `before` and later `now`, which is still the last. Any thread."""
        shown = tuple(self._shown)
        return shown[-1] == now and before in shown[:-1]

    def fault(self) -> str | None:
        """Return the session's fault, None for none. The SDK's own server_health is true in spite of each of them."""
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

    async def answers(self) -> bool:
        """Return whether its server answers a health check within 1 s, which it does only while the push is registered.

        The SDK's own check takes an unregistered connection for healthy.
        """
        rpc = self._rpc()
        if rpc.current_connection is None:
            return False
        try:
            answer = await bounded(
                rpc.current_connection.request(HealthCheckRequest(), round(CHECK_TIMEOUT_S * 1000)), CHECK_TIMEOUT_S
            )
        except SdkFault:
            return False
        return answer is not None and bool(answer.is_success())

    def omit_own_check(self) -> None:
        """Let the SDK omit its own health check for the next 5 s: it replaces a connection that failed ours."""
        self._rpc().last_active_timestamp = time.time_ns() // 1_000_000

    async def close(self) -> None:
        """Close everything within 4 s; raises nothing but our own cancellation."""
        proxy = self._service.grpc_client_proxy
        proxy.listen_task.cancel()  # Its own shutdown waits for it, for up to 5 s.
        try:
            await bounded(self._service.shutdown(), CLOSE_TIMEOUT_S)
        except SdkFault:
            pass
        finally:
            await _cancel_orphans()

    def _rpc(self) -> Any:  # noqa: ANN401 - the SDK is not typed
        return next(iter(self._service.grpc_client_proxy.rpc_client_manager.client_map.values()))


async def bounded(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return the result of `call`. Raises SdkFault if it fails, takes longer, or is cancelled from within the SDK."""
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
    target: NacosKey, credentials: NacosCredentials, tls: ClientTls | None, token: Callable[[], str]
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
        config.tls_config = TLSConfig(
            enabled=True,
            ca_file=tls.ca or ssl.get_default_verify_paths().cafile,
            cert_file=tls.cert or "/dev/null",
            key_file=tls.key or tls.cert or "/dev/null",
        )
    cache = service.config_info_cache
    # A file in its cache overrides the server, and an unwritable folder makes it miss changes: so, no cache.
    cache.write_config_to_cache = _discard
    cache.get_config_cache = cache.get_fail_over_config_cache = _no_cache

    async def sign(headers: dict[str, str]) -> None:
        if token():
            headers["accessToken"] = token()

    service.grpc_client_proxy.nacos_server_connector.inject_security_info = sign
    return service


async def _discard(*_: object) -> None:
    pass


async def _no_cache(*_: object) -> tuple[str, str]:
    return "", ""


async def _cancel_orphans() -> None:
    """Cancel the tasks that the SDK started and lost: the loop has no others but the current one."""
    orphans = asyncio.all_tasks() - {asyncio.current_task()}
    for task in orphans:
        task.cancel()
    if orphans:
        await asyncio.wait(orphans, timeout=CLOSE_TIMEOUT_S)
