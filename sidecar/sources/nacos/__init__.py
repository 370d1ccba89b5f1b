"""A key of Nacos as a source: read over HTTP, which is the truth, and watched with nacos-sdk-python, which wakes it."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sidecar.errors import ConfigError
from sidecar.sources.base import Content, History, Missing, Report, Source
from sidecar.sources.nacos.address import client_address
from sidecar.sources.nacos.api import FoundConfig, NacosApi
from sidecar.sources.nacos.credentials import NacosCredentials, NacosTls, tls_from
from sidecar.sources.nacos.history import NacosHistory
from sidecar.sources.nacos.publish import publish
from sidecar.sources.nacos.push import PushListener
from sidecar.sources.nacos.url import NacosKey, parse
from sidecar.sources.nacos.watcher import NacosWatcher

__all__ = ["NacosSource", "open_source"]


def open_source(url: str, options: Mapping[str, str]) -> Source:
    """Return the source of a URL `nacos://HOST:PORT,HOST:PORT/GROUP/DATA_ID?namespace=NS`, not started.

    Reads the options `nacos-username` and `-password`, or `nacos-access-key` and `-secret-key`, each also as `…-file`,
    which is read anew at each login; `nacos-ca`, `-cert`, `-key` (PEM files; any of them means TLS) and `nacos-tls`
    (`true`: TLS with the system's authorities). Raises ConfigError.
    """
    target = parse(url)
    if importlib.util.find_spec("v2") is None:
        raise ConfigError(
            "The Nacos source needs nacos-sdk-python, which is not installed: pip install dc-sidecar[nacos]"
        )
    return NacosSource(target, NacosCredentials(options), tls_from(options))


class NacosSource:
    """A `Source`; its versions are Nacos's own: the MD5 of the text."""

    def __init__(self, target: NacosKey, credentials: NacosCredentials, tls: NacosTls | None) -> None:
        self._target = target
        self._credentials = credentials
        self._tls = tls
        self._watcher: NacosWatcher | None = None
        self._push: PushListener | None = None

    @property
    def url(self) -> str:
        """The URL it was opened with, every default left out."""
        return str(self._target)

    @property
    def history(self) -> History:
        """The key's history on the server; operators are named there if users log in."""
        return NacosHistory(self._asking)

    def start(self, deliver: Callable[[Report], None]) -> None:
        """Begin to watch the key, with a thread that reads and one that holds the SDK."""
        address = client_address()
        api = self._api(address)
        wake = threading.Event()
        self._push = push = PushListener(
            self._target,
            self._credentials,
            self._tls,
            address=address,
            token=lambda: api.token,
            wake=wake.set,
        )
        self._watcher = watcher = NacosWatcher(api, push, deliver, wake)
        watcher.start()
        push.start()

    def stop(self, timeout: float) -> None:
        """End the watching within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        if self._watcher is not None and self._push is not None:
            self._watcher.stop(timeout / 2)
            self._push.stop(max(0.0, deadline - time.monotonic()))
        self._watcher = self._push = None

    def read(self, timeout: float) -> Content | Missing:
        """Read the key over a connection of its own, as a client of this machine's address sees it."""
        with self._asking() as api:
            found = api.read(timeout)
        return Content(found.text, found.version) if isinstance(found, FoundConfig) else Missing(found.reason)

    def write(self, text: bytes, expected_version: str | None, timeout: float) -> str:
        """Publish, keeping the key's description, application and tags; return once clients are given it."""
        with self._asking() as api:
            return publish(api, text, expected_version, timeout)

    @contextmanager
    def _asking(self) -> Iterator[NacosApi]:
        api = self._api(client_address())
        try:
            yield api
        finally:
            api.close()

    def _api(self, address: str) -> NacosApi:
        return NacosApi(self._target, self._credentials, None if self._tls is None else self._tls.context(), address)
