"""The outputs to followers that are configured, as one part of the sidecar: HAProxy's agent, and xDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from sidecar.config import Settings
from sidecar.errors import ConfigError
from sidecar.table import ViewProvider

if TYPE_CHECKING:
    from sidecar.followers.haproxy_agent import HaproxyAgent
    from sidecar.followers.registry import Follower, FollowerRegistry
    from sidecar.followers.xds_clients import XdsClients
    from sidecar.server.duplex import OpenSession
    from sidecar.xds.service import XdsService


class FollowerOutputs:
    """Answers HAProxy where `--haproxy-agent` is set, and knows who follows. Raises ConfigError.

    The methods of xDS are the gRPC server's to serve: `methods` has them, None without `--xds`.
    """

    def __init__(self, table: ViewProvider, settings: Settings) -> None:
        self._xds = _open_xds(table, settings)
        self._registry, self._agent = _open_agent(table, settings)

    @property
    def methods(self) -> Mapping[str, OpenSession] | None:
        """The methods of xDS by their paths."""
        return self._xds.methods if self._xds is not None else None

    @property
    def xds_clients(self) -> XdsClients | None:
        """The clients of xDS."""
        return self._xds.clients.shown if self._xds is not None else None

    def connect(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when a file has changed the resources of xDS."""
        if self._xds is not None:
            self._xds.connect(wake)

    def start(self) -> list[str]:
        """Start to answer HAProxy, and to follow files; return the addresses. Raises ConfigError."""
        if self._xds is not None:
            self._xds.start()
        return [self._agent.start()] if self._agent is not None else []

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds."""
        for part in (self._agent, self._xds):
            if part is not None:
                part.stop(timeout / 2)

    def all(self) -> Iterator[Follower]:
        """Yield the clients of xDS, then the checks of HAProxy in the last hour."""
        if self._xds is not None:
            yield from self._xds.clients.followers()
        if self._registry is not None:
            yield from self._registry.all()


def _open_xds(table: ViewProvider, settings: Settings) -> XdsService | None:
    if not settings.xds:
        if settings.xds_endpoints is not None:
            raise ConfigError("--xds-endpoints: expected --xds beside it, which serves them")
        return None
    from sidecar.xds.opening import open_xds  # noqa: PLC0415 - only where it is configured

    return open_xds(settings, table)


def _open_agent(table: ViewProvider, settings: Settings) -> tuple[FollowerRegistry | None, HaproxyAgent | None]:
    address = settings.haproxy_agent
    if address is None:
        return None, None
    from sidecar.followers.haproxy_agent import HaproxyAgent  # noqa: PLC0415 - only where it is configured
    from sidecar.followers.registry import FollowerRegistry  # noqa: PLC0415 - likewise

    registry = FollowerRegistry()
    return registry, HaproxyAgent(table, registry, address, allow_plaintext=settings.allow_plaintext)
