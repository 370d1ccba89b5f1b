"""Credentials for Nacos: user and password, or a key pair, from options or from files that may change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import ConfigError, SecretUnreadable, SourceError
from sidecar.secret_file import read_secret
from sidecar.sources.tls import client_context


class NacosCredentials:
    """The configured credentials. Files are read at each use, so a secret can be rotated while running.

    Raises ConfigError if half of a pair is missing, or both pairs are given.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = dict(options)
        self.has_login = self._complete("username", "password")
        self.has_keys = self._complete("access-key", "secret-key")
        if self.has_login and self.has_keys:
            raise ConfigError(
                "Both a Nacos user and a Nacos access key are configured; expected one of the two: a server checks "
                "either, so take the other's options away."
            )

    def login(self) -> tuple[str, str]:
        """Return the current user and password. Raises SourceError if a file cannot be read."""
        return self._value("username"), self._value("password")

    def keys(self) -> tuple[str, str]:
        """Return the current access key and secret key. Raises SourceError if a file cannot be read."""
        return self._value("access-key"), self._value("secret-key")

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

    def _given(self, name: str) -> bool:
        return bool(self._options.get(f"nacos-{name}") or self._options.get(f"nacos-{name}-file"))

    def _complete(self, public: str, secret: str) -> bool:
        if self._given(public) != self._given(secret):
            there, absent = (public, secret) if self._given(public) else (secret, public)
            raise ConfigError(
                f"A Nacos {there} is configured without its {absent}; expected both, as in DC_SIDECAR_NACOS_"
                f"{public.upper().replace('-', '_')} and DC_SIDECAR_NACOS_{secret.upper().replace('-', '_')}_FILE."
            )
        return self._given(public)

    def _value(self, name: str) -> str:
        path = self._options.get(f"nacos-{name}-file")
        if not path:
            return self._options[f"nacos-{name}"]
        try:
            return read_secret(Path(path)).strip()
        except SecretUnreadable as error:
            raise SourceError(f"The file {path} with the Nacos {name} {error}.") from None


@dataclass(frozen=True, slots=True)
class NacosTls:
    """TLS to the servers, for HTTP and gRPC: paths of PEM files; without `ca` the system's authorities are trusted."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Return the context for HTTPS. Raises ConfigError if a file cannot be used."""
        try:
            return client_context(self.ca, self.cert, self.key)
        except (OSError, ValueError) as error:
            files = ", ".join(filter(None, (self.ca, self.cert, self.key)))
            raise ConfigError(f"The TLS files for Nacos cannot be used ({files}): {error}.") from None


def tls_from(options: Mapping[str, str]) -> NacosTls | None:
    """Return the TLS that `options` configure, None for none. Raises ConfigError."""
    tls = NacosTls(options.get("nacos-ca", ""), options.get("nacos-cert", ""), options.get("nacos-key", ""))
    if options.get("nacos-tls", "").lower() != "true" and tls == NacosTls():
        return None
    if tls.key and not tls.cert:
        raise ConfigError("nacos-key is configured without nacos-cert; expected the certificate that belongs to it.")
    tls.context()
    return tls
