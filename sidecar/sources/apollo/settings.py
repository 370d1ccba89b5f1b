"""The options of an Apollo source: who this client is, its secrets, TLS, and the portal for writing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.errors import ConfigError
from sidecar.sources.apollo.url import DEFAULT_CLUSTER, ApolloAddress, ApolloKey, parse_address
from sidecar.sources.secret import Secret
from sidecar.sources.tls import ClientTls

_ITEM_LIMIT = 20_000
"""Apollo's own default of `item.value.length.limit`, in UTF-16 units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """The portal, its environment ("": the only one that has the application), and how to write there.

    `operator` is a portal user, "" for the one who makes the change. `item_limit` is in UTF-16 units.
    """

    address: ApolloAddress
    token: Secret
    environment: str
    operator: str
    emergency: bool
    item_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApolloSettings:
    """A key and how to reach it; `config_services` is empty where the meta servers are asked for them."""

    key: ApolloKey
    config_services: tuple[ApolloAddress, ...]
    data_center: str
    ip: str
    label: str
    access_key: Secret
    admin_token: Secret
    portal: PortalSettings | None
    tls: ClientTls

    def signature(self, path: str, timestamp_ms: int) -> dict[str, str]:
        """Return the headers that sign a request for `path`, its query included; none without an access key.

        The signature is that of com.ctrip.framework.apollo.core.signature.Signature. Raises SourceError.
        """
        secret = self.access_key.read()
        if not secret:
            return {}
        digest = hmac.new(secret.encode(), f"{timestamp_ms}\n{path}".encode(), hashlib.sha1).digest()
        signed = base64.b64encode(digest).decode()
        return {"Authorization": f"Apollo {self.key.app}:{signed}", "Timestamp": str(timestamp_ms)}

    def ordinary(self) -> ApolloSettings:
        """Return the settings of a client that no rule of a gray release names by its label or configured address."""
        return replace(self, ip="", label="")

    def ordinary_clusters(self) -> tuple[str, ...]:
        """Return the clusters in which Apollo looks for the namespace, in its order."""
        named = (self.key.cluster, self.data_center)
        return (*dict.fromkeys(name for name in named if name not in {"", DEFAULT_CLUSTER}), DEFAULT_CLUSTER)


def settings_from(key: ApolloKey, options: Mapping[str, str]) -> ApolloSettings:
    """Return the settings for a key. Raises ConfigError."""
    services = tuple(
        parse_address(url, "apollo-config-service")
        for url in options.get("apollo-config-service", "").split(",")
        if url.strip()
    )
    return ApolloSettings(
        key=key,
        config_services=services,
        data_center=options.get("apollo-data-center", ""),
        ip=options.get("apollo-ip", ""),
        label=options.get("apollo-label", ""),
        access_key=Secret(options, "apollo-access-key"),
        admin_token=Secret(options, "apollo-admin-token"),
        portal=_portal(options),
        tls=ClientTls.from_options("Apollo", options),
    )


def _portal(options: Mapping[str, str]) -> PortalSettings | None:
    token = Secret(options, "apollo-token")
    url = options.get("apollo-portal", "")
    if not url and not token:
        return None
    if not url or not token:
        there, absent = ("apollo-portal", "apollo-token-file") if url else ("apollo-token", "apollo-portal")
        raise ConfigError(f"{there} is configured without {absent}; writing needs the portal's URL and a token of it.")
    return PortalSettings(
        address=parse_address(url, "apollo-portal"),
        token=token,
        environment=options.get("apollo-env", ""),
        operator=options.get("apollo-operator", ""),
        emergency=options.get("apollo-emergency-publish", "").lower() == "true",
        item_limit=int(options.get("apollo-item-limit", "") or _ITEM_LIMIT),
    )
