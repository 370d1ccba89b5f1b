"""Finds the servers of a cluster: those of the URL, or those that an address server lists."""

from __future__ import annotations

import time
from urllib.parse import quote

from sidecar.errors import ConfigError, SourceError
from sidecar.sources.http import HttpConnection
from sidecar.sources.nacos.url import NacosAddress, NacosKey, server_of

REFRESH_S = 30.0
"""How often an address server is asked for its list, as Nacos's own clients do."""
_REFRESH_TIMEOUT_S = 1.0
_MOST = 128


class ServerDirectory:
    """The servers to call. The list of an address server is refreshed every 30 s; while that fails, the last one stays.

    The list is what Nacos's own clients read from `http://ENDPOINT/nacos/serverlist`: a server per line, `HOST` or
    `HOST:PORT`. For one thread, but for `abort`.
    """

    def __init__(self, target: NacosKey) -> None:
        self._servers = target.servers
        self._fresh_until = 0.0
        namespace = f"?namespace={quote(target.namespace)}" if target.namespace else ""
        self._path = f"{target.context}/serverlist{namespace}"
        endpoint = target.endpoint
        self._endpoint = None if endpoint is None else HttpConnection(endpoint, None, "the address server")

    def servers(self, within: float) -> tuple[NacosAddress, ...]:
        """Return the servers, at least one. Raises SourceError while no list has been received."""
        if self._endpoint is None or time.monotonic() < self._fresh_until:
            return self._servers
        try:
            self._servers = self._listed(self._endpoint, min(within, _REFRESH_TIMEOUT_S) if self._servers else within)
        except SourceError:
            if not self._servers:
                raise
        self._fresh_until = time.monotonic() + REFRESH_S
        return self._servers

    def expire(self) -> None:
        """Ask for the list again at the next call: none of its servers has answered."""
        self._fresh_until = 0.0

    def close(self) -> None:
        """Close the connection to the address server."""
        if self._endpoint is not None:
            self._endpoint.close()

    def abort(self) -> None:
        """Abort a request under way, from another thread, and refuse all later ones."""
        if self._endpoint is not None:
            self._endpoint.abort()

    def _listed(self, endpoint: HttpConnection, within: float) -> tuple[NacosAddress, ...]:
        answer = endpoint.request("GET", self._path, headers={}, within=within)
        endpoint.close()
        if answer.status != 200:
            raise SourceError(f"the address server {endpoint.server} answers {self._path} with status {answer.status}")
        lines = [line.strip() for line in answer.body.decode("utf-8", "replace").splitlines()]
        try:
            servers = tuple(dict.fromkeys(server_of(line) for line in lines if line))
        except ConfigError as error:
            raise SourceError(
                f"the list of the address server {endpoint.server} is not one of servers: {error}"
            ) from None
        if not 0 < len(servers) <= _MOST:
            raise SourceError(
                f"the address server {endpoint.server} lists {len(servers)} servers; expected 1 to {_MOST}, one a line"
            )
        return servers
