"""The Nacos source: reads the key over HTTP, which decides, and is woken by the push of nacos-sdk-python."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidecar.errors import ConfigError
from sidecar.sources.base import NO_NOTE, ChangeNote, Content, Gray, History, Missing, Report, Source
from sidecar.sources.nacos.address import client_address
from sidecar.sources.nacos.api import FoundConfig, NacosApi, ordinary_config
from sidecar.sources.nacos.credentials import NacosCredentials, tls_from
from sidecar.sources.nacos.gray import stored_gray
from sidecar.sources.nacos.history import NacosHistory
from sidecar.sources.nacos.publish import publish
from sidecar.sources.nacos.url import NacosKey, parse
from sidecar.sources.nacos.watcher import POLL_S, REREAD_S, NacosWatcher
from sidecar.sources.tls import ClientTls

if TYPE_CHECKING:
    from sidecar.sources.nacos.push import PushListener

__all__ = ["NacosSource", "open_source"]

_LONGEST_REREAD_S = 300.0


def open_source(url: str, options: Mapping[str, str]) -> Source:
    """Return the source of a URL `nacos://HOST:PORT,HOST:PORT/GROUP/DATA_ID?namespace=NS`, not started.

    `nacos+endpoint://HOST:PORT/GROUP/DATA_ID?namespace=NS` names the address server that lists the servers instead.
    Options: `nacos-username` and `-password`, or `nacos-access-key` and `-secret-key`, each also as `…-file`, which is
    read again at each login; `nacos-ca`, `-cert`, `-key` (PEM files; any of them turns on TLS) and `nacos-tls`
    (`true`: TLS with the system's authorities); `nacos-allow-plaintext` (`true`: send the password without TLS);
    `nacos-reread` (seconds; the longest time between two reads while push works). Raises ConfigError.
    """
    target = parse(url)
    if importlib.util.find_spec("v2") is None:
        raise ConfigError(
            "The Nacos source needs nacos-sdk-python, which is not installed: pip install '.[nacos]' in a checkout"
        )
    credentials, tls = NacosCredentials(options), tls_from(options)
    if credentials.has_login and tls is None and options.get("nacos-allow-plaintext", "").lower() != "true":
        _check_loopback(target)
    return NacosSource(target, credentials, tls, reread_s=_reread_s(options))


def _check_loopback(target: NacosKey) -> None:
    """Raise ConfigError if a login would send the password over a network in plain text."""
    far = [str(server) for server in target.servers if not server.loopback]
    if target.endpoint is not None:
        far = [f"the servers that {target.endpoint} lists"]
    if far:
        raise ConfigError(
            f"The Nacos password would be sent to {', '.join(far)} in plain text: turn on TLS (nacos-tls, "
            "nacos-ca), or allow it with nacos-allow-plaintext."
        )


class NacosSource:
    """A `Source` whose versions are those of Nacos: the MD5 of the text."""

    def __init__(
        self, target: NacosKey, credentials: NacosCredentials, tls: ClientTls | None, *, reread_s: float = REREAD_S
    ) -> None:
        self._target = target
        self._reread_s = reread_s
        self._credentials = credentials
        self._tls = tls
        self._watcher: NacosWatcher | None = None
        self._push: PushListener | None = None
        self._known: Sequence[str] = ()

    @property
    def url(self) -> str:
        """The URL it was opened with, without defaults."""
        return str(self._target)

    @property
    def history(self) -> History:
        """The key's history on the server, which names the users where authentication is on."""
        return NacosHistory(self._open_api)

    def resume(self, versions: Sequence[str]) -> None:
        """Confirm an earlier version than the last of these before it is reported; before `start`."""
        self._known = versions

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Start watching the key: one thread reads, one runs the SDK."""
        from sidecar.sources.nacos.push import PushListener  # noqa: PLC0415 - asyncio, which a single read does without

        address = client_address()
        api = self._api(address)
        wake = threading.Event()
        self._push = push = PushListener(
            lambda: api.served,
            self._credentials,
            self._tls,
            address=address,
            token=lambda: api.token,
            wake=wake.set,
            reread_s=self._reread_s,
        )
        self._watcher = watcher = NacosWatcher(api, push, deliver, wake, known=self._known, reread_s=self._reread_s)
        watcher.start()
        push.start()

    def stop(self, timeout: float) -> None:
        """Stop watching within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        if self._watcher is not None and self._push is not None:
            self._watcher.stop(timeout / 2)
            self._push.stop(max(0.0, deadline - time.monotonic()))
        self._watcher = self._push = None

    def read(self, timeout: float) -> Content | Missing:
        """Read the key over a connection of its own; under a gray version for this machine, the stored one instead."""
        deadline = time.monotonic() + timeout
        with self._open_api() as api:
            found = api.read(timeout)
            if isinstance(found, FoundConfig) and found.gray:
                found = ordinary_config(api, deadline)
        return Content(found.text, found.version) if isinstance(found, FoundConfig) else Missing(found.reason)

    def gray(self, timeout: float) -> Gray | None:
        """Return the key's gray (beta) version, for any addresses."""
        with self._open_api() as api:
            return stored_gray(api, timeout)

    def write(
        self,
        text: bytes,
        expected_version: str | None,
        timeout: float,
        note: ChangeNote = NO_NOTE,  # noqa: ARG002 - the signature of every source
    ) -> str:
        """Publish, keeping the key's description, application and tags; return once clients get the new text."""
        with self._open_api() as api:
            return publish(api, text, expected_version, timeout)

    @contextmanager
    def _open_api(self) -> Iterator[NacosApi]:
        api = self._api(client_address())
        try:
            yield api
        finally:
            api.close()

    def _api(self, address: str) -> NacosApi:
        return NacosApi(self._target, self._credentials, None if self._tls is None else self._tls.context(), address)


def _reread_s(options: Mapping[str, str]) -> float:
    text = options.get("nacos-reread", "")
    try:
        seconds = float(text) if text else REREAD_S
    except ValueError:
        seconds = 0.0
    if not POLL_S <= seconds <= _LONGEST_REREAD_S:
        raise ConfigError(f"nacos-reread is {text!r}; expected {POLL_S:g} s to {_LONGEST_REREAD_S:g} s, such as 30s.")
    return seconds
