"""The settings of the HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from sidecar.config.hosts import HostPattern
from sidecar.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the HTTP server listens, and how server and clients authenticate.

    http: `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:0`; port 0 lets the kernel choose.
    http_token_file: with it every request but those for health must carry the token that this file holds.
    policy, tokens: files with what callers may do, and with digests of their tokens; None for everything.
    tls_client_ca, tls_crl: with a policy, clients may show certificates of these authorities that are not revoked.
    docs_url: where the documentation is published, for the page's links.
    environment: the name that page, status and metrics show.
    tls_cert, tls_key: PEM files, both or none; with them it speaks TLS only.
    allow_plaintext: serve without TLS on addresses that are not loopback, too.
    allow_anonymous_http: serve without a token there, too.
    max_memory: bytes that the process may use, None for the limit of its control group, if it has one.
    http_hosts: the names by which requests without a token may call it, beside addresses and localhost.
    """

    http: str
    docs_url: str | None = None
    environment: str | None = None
    http_token_file: Path | None = None
    policy: Path | None = None
    tokens: Path | None = None
    tls_client_ca: Path | None = None
    tls_crl: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allow_plaintext: bool = False
    allow_anonymous_http: bool = False
    max_memory: int | None = None
    http_hosts: tuple[HostPattern, ...] = ()

    @property
    def place(self) -> tuple[str, int]:
        """The host, an IPv6 address without brackets, and the port. Raises ConfigError for anything else."""
        host, _, port = self.http.rpartition(":")
        if self.http.startswith("unix:") or not port.isdigit():
            raise ConfigError(f"--http: found {self.http!r}, expected host:port such as 127.0.0.1:8080")
        return host.strip("[]"), int(port)

    @property
    def loopback(self) -> bool:
        """True where it cannot be reached from outside this machine."""
        host = self.place[0]
        if host == "localhost":
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Raise ConfigError for an address that a network reaches in plain text or without a token, unless allowed."""
        if not self.loopback and self.tls_cert is None and not self.allow_plaintext:
            raise ConfigError(
                f"--http {self.http}: expected a loopback address, --tls-cert and --tls-key, or --allow-plaintext"
            )
        if not self.loopback and not (self.http_token_file or self.policy or self.allow_anonymous_http):
            raise ConfigError(
                f"--http {self.http}: everybody on the network could read it: expected --http-token-file, --policy, a "
                "loopback address, or --allow-anonymous-http"
            )
