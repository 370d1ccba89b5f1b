"""The config services, asked as Apollo's own client does: one key's release, from the first service that answers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.errors import AccessRefused, SourceError
from sidecar.sources.apollo.directory import ServiceDirectory
from sidecar.sources.apollo.settings import ApolloSettings
from sidecar.sources.apollo.url import ApolloAddress
from sidecar.sources.apollo.web import connection_to, json_of, path_of, query_of, signed_get, unexpected
from sidecar.sources.http import HttpConnection

SERVER_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class FoundRelease:
    """The key's text in the release that this client gets; `branch` is that of a gray release, else "".

    `version` is the release's cluster (or branch) and key, as in `default/20261127120208-5307fdd62563467a`.
    """

    text: bytes
    version: str
    branch: str = ""


@dataclass(frozen=True, slots=True)
class AbsentKey:
    """There is no release, or none with the key; its version is the empty one."""

    reason: str
    version: str = ""


Found = FoundRelease | AbsentKey


class ApolloClient:
    """A client of the config services, which keeps a connection to each; for one thread, but for `abort`."""

    def __init__(self, settings: ApolloSettings) -> None:
        self._settings = settings
        self._directory = ServiceDirectory(settings, "config", known=settings.config_services)
        self._connections: dict[ApolloAddress, HttpConnection] = {}
        self._current: ApolloAddress | None = None
        self._last: tuple[str, Found] | None = None
        self._aborted = False

    @property
    def server(self) -> ApolloAddress | None:
        """The config service that answered last; None before any did."""
        return self._current

    def read(self, within: float, messages: Mapping[str, int], *, other_server: bool = False) -> Found:
        """Read the key within `within` seconds, of which each server gets 3 at most.

        `messages` are the newest notifications, by the names that Apollo gave them: a service that caches must not
        answer with an older release. With `other_server` another service than the last one is asked first, or the only
        one over a new connection. Raises SourceError.
        """
        deadline = time.monotonic() + within
        failures = []
        for address in self._in_order(within, other_server=other_server):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                found = self._read(address, messages, min(left, SERVER_TIMEOUT_S))
            except AccessRefused:
                raise
            except SourceError as error:
                failures.append(str(error))
            else:
                self._current = address
                return found
        self._directory.expire()
        raise SourceError("; ".join(failures) or "no time left to ask a config service")

    def abort(self) -> None:
        """Abort the request under way, from another thread, and refuse all later ones."""
        self._aborted = True
        self._directory.abort()
        for connection in tuple(self._connections.values()):
            connection.abort()

    def close(self) -> None:
        """Close all connections; the next request makes new ones."""
        self._directory.close()
        for connection in self._connections.values():
            connection.close()

    def _in_order(self, within: float, *, other_server: bool) -> list[ApolloAddress]:
        """Return the services, the one to ask first first; connections to those that are gone are closed."""
        known = [*self._directory.addresses(within)]
        for gone in self._connections.keys() - set(known):
            self._connections.pop(gone).close()
        if self._current in known:
            index = known.index(self._current)
            if other_server:
                self._connections[self._current].close()
                index = (index + 1) % len(known)
            known = known[index:] + known[:index]
        return known

    def _read(self, address: ApolloAddress, messages: Mapping[str, int], within: float) -> Found:
        key = self._settings.key
        sent = json.dumps({"details": dict(messages)}, separators=(",", ":")) if messages else ""
        path = path_of("configs", key.app, key.cluster, key.namespace) + query_of(
            dataCenter=self._settings.data_center,
            ip=self._settings.ip,
            label=self._settings.label,
            messages=sent,
            releaseKey=self._last[0] if self._last else "",
        )
        answer = signed_get(self._connection(address), address, path, self._settings, within)
        if answer.status == 304 and self._last:
            return self._last[1]
        if answer.status == 404:
            self._last = None
            clusters = " or ".join(self._settings.ordinary_clusters())
            return AbsentKey(
                f"namespace {key.namespace} of {key.app} has no release in cluster {clusters}: release it in the "
                "portal, or check the names"
            )
        content = json_of(answer)
        if answer.status != 200 or not isinstance(content, dict):
            raise unexpected(address, answer)
        release_key, values = str(content.get("releaseKey")), content.get("configurations")
        found = self._found(str(content.get("cluster")), release_key, values if isinstance(values, dict) else {})
        self._last = release_key, found
        return found

    def _found(self, cluster: str, release_key: str, values: Mapping[str, object]) -> Found:
        key = self._settings.key
        text = values.get(key.key)
        if not isinstance(text, str) or not text.strip():
            what = "holds nothing" if isinstance(text, str) else "is not in the release"
            return AbsentKey(f"{key.name} {what}: set it in the portal and release")
        branch = "" if cluster in self._settings.ordinary_clusters() else cluster
        return FoundRelease(text.encode(), f"{cluster}/{release_key}", branch)

    def _connection(self, address: ApolloAddress) -> HttpConnection:
        connection = self._connections.get(address)
        if connection is None:
            connection = self._connections[address] = connection_to(address, self._settings)
        if self._aborted:
            connection.abort()
        return connection
