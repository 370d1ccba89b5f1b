"""Finds Apollo's services: the meta servers name them, and the list is kept while they do not answer."""

from __future__ import annotations

import random
import time

from sidecar.errors import ConfigError, SourceError
from sidecar.sources.apollo.settings import ApolloSettings
from sidecar.sources.apollo.url import ApolloAddress, parse_address
from sidecar.sources.apollo.web import connection_to, json_of, path_of, query_of, unexpected
from sidecar.sources.http import HttpConnection

REFRESH_S = 300.0
"""How old the list may be, as in Apollo's own client."""

_META_TIMEOUT_S = 3.0


class ServiceDirectory:
    """The addresses of the services of one kind, `config` or `admin`; for one thread, but for `abort`."""

    def __init__(self, settings: ApolloSettings, kind: str, *, known: tuple[ApolloAddress, ...] = ()) -> None:
        """Find the services of `settings`; with `known` addresses no meta server is asked."""
        self._settings = settings
        self._kind = kind
        self._fixed = bool(known)
        self._known = known
        self._read_at: float | None = None
        self._metas = [(address, connection_to(address, settings)) for address in settings.key.meta]

    def addresses(self, within: float) -> tuple[ApolloAddress, ...]:
        """Return the addresses, the last known ones while no meta server answers. Raises SourceError without any."""
        fresh = self._read_at is not None and time.monotonic() - self._read_at < REFRESH_S
        if not self._fixed and not fresh:
            try:
                found = self._ask(within)
            except SourceError:
                if not self._known:
                    raise
            else:
                self._read_at = time.monotonic()
                if set(found) != set(self._known):
                    # In an order of this client's own: the load is spread over the services.
                    self._known = tuple(random.sample(found, len(found)))
        return self._known

    def expire(self) -> None:
        """Ask the meta servers before the next use: the services may have moved."""
        self._read_at = None

    def abort(self) -> None:
        """Abort the request under way, from another thread, and refuse all later ones."""
        for _, connection in self._metas:
            connection.abort()

    def close(self) -> None:
        """Close all connections."""
        for _, connection in self._metas:
            connection.close()

    def _ask(self, within: float) -> tuple[ApolloAddress, ...]:
        deadline = time.monotonic() + within
        failures = []
        for address, connection in self._metas:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return self._read(address, connection, min(left, _META_TIMEOUT_S))
            except SourceError as error:
                failures.append(str(error))
            finally:
                connection.close()  # It is asked too seldom to keep one open.
        raise SourceError("; ".join(failures) or "no time left to ask the meta server")

    def _read(self, address: ApolloAddress, connection: HttpConnection, within: float) -> tuple[ApolloAddress, ...]:
        path = address.path + path_of("services", self._kind) + query_of(appId=self._settings.key.app)
        answer = connection.request("GET", path, headers={}, within=within)
        services = json_of(answer)
        if answer.status != 200 or not isinstance(services, list):
            raise unexpected(address, answer)
        try:
            found = tuple(dict.fromkeys(parse_address(str(one["homepageUrl"]), "an address") for one in services))
        except (ConfigError, KeyError, TypeError):
            raise SourceError(f"{address} names {self._kind} services without usable addresses") from None
        if not found:
            raise SourceError(f"{address} knows no {self._kind} service of Apollo: is one running and registered?")
        if self._settings.key.meta[0].tls and not all(one.tls for one in found):
            raise SourceError(
                f"{address} names {self._kind} services without TLS, and the URL asks for TLS (apollo+https): name "
                "their https addresses in --apollo-config-service, or register them so"
            )
        return found
