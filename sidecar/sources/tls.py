"""The client's side of TLS, for sources that connect themselves."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sidecar.errors import ConfigError


def client_context(ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """Return a context that trusts `ca` alone, or the system's authorities without one, and shows `cert` if given.

    The paths are of PEM files; a `cert` without a `key` holds its key as well. Raises OSError, ssl.SSLError among
    them, and ValueError for files that cannot be used.
    """
    context = ssl.create_default_context(cafile=ca or None)
    if cert:
        context.load_cert_chain(cert, key or None)
    return context


@dataclass(frozen=True, slots=True)
class ClientTls:
    """TLS to servers such as Nacos: paths of PEM files; without `ca` the system's authorities are trusted."""

    server: str
    ca: str = ""
    cert: str = ""
    key: str = ""

    @classmethod
    def from_options(cls, server: str, options: Mapping[str, str]) -> Self:
        """Return the TLS of options such as `nacos-ca`, checked. Raises ConfigError."""
        prefix = server.lower()
        tls = cls(server, *(options.get(f"{prefix}-{name}", "") for name in ("ca", "cert", "key")))
        if tls.key and not tls.cert:
            raise ConfigError(
                f"{prefix}-key is configured without {prefix}-cert; expected the certificate that belongs to it."
            )
        if tls:
            tls.context()
        return tls

    def __bool__(self) -> bool:
        return bool(self.ca or self.cert or self.key)

    def context(self) -> ssl.SSLContext:
        """Return the context of a client. Raises ConfigError if a file cannot be used."""
        try:
            return client_context(self.ca, self.cert, self.key)
        except (OSError, ValueError) as error:
            files = ", ".join(filter(None, (self.ca, self.cert, self.key)))
            raise ConfigError(f"The TLS files for {self.server} cannot be used ({files}): {error}.") from None
