"""Credentials for Nacos: user and password, or a key pair, from options or from files that may change."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from sidecar.errors import ConfigError
from sidecar.sources.secret import Secret
from sidecar.sources.tls import ClientTls


class NacosCredentials:
    """The configured credentials. Files are read at each use, so a secret can be rotated while running.

    Raises ConfigError if half of a pair is missing, or both pairs are given.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        names = ("username", "password", "access-key", "secret-key")
        self._secrets = {name: Secret(options, f"nacos-{name}") for name in names}
        self.has_login = self._complete("username", "password")
        self.has_keys = self._complete("access-key", "secret-key")
        if self.has_login and self.has_keys:
            raise ConfigError(
                "Both a Nacos user and a Nacos access key are configured; expected one of the two: a server checks "
                "either, so take the other's options away."
            )

    def login(self) -> tuple[str, str]:
        """Return the current user and password. Raises SourceError if a file cannot be read."""
        return self._secrets["username"].read(), self._secrets["password"].read()

    def keys(self) -> tuple[str, str]:
        """Return the current access key and secret key. Raises SourceError if a file cannot be read."""
        return self._secrets["access-key"].read(), self._secrets["secret-key"].read()

    def signature(self, resource: str, timestamp: str) -> dict[str, str]:
        """Return the headers of a signed request; `resource` is namespace+group, `timestamp` Unix milliseconds.

        The signature is that of com.alibaba.nacos.client.auth.ram.utils.SpasAdapter: HMAC-SHA1 over resource+timestamp.
        """
        access_key, secret_key = self.keys()
        digest = hmac.new(secret_key.encode(), f"{resource}+{timestamp}".encode(), hashlib.sha1).digest()
        return {
            "Spas-AccessKey": access_key,
            "Spas-Signature": base64.b64encode(digest).decode(),
            "Timestamp": timestamp,
        }

    def _complete(self, public: str, secret: str) -> bool:
        given = bool(self._secrets[public])
        if given != bool(self._secrets[secret]):
            there, absent = (public, secret) if given else (secret, public)
            raise ConfigError(
                f"A Nacos {there} is configured without its {absent}; expected both, as in DC_SIDECAR_NACOS_"
                f"{public.upper().replace('-', '_')} and DC_SIDECAR_NACOS_{secret.upper().replace('-', '_')}_FILE."
            )
        return given


def tls_from(options: Mapping[str, str]) -> ClientTls | None:
    """Return the TLS that `options` configure, None for none. Raises ConfigError."""
    tls = ClientTls.from_options("Nacos", options)
    return tls if tls or options.get("nacos-tls", "").lower() == "true" else None
