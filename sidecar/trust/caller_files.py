"""Opens the files that say who may call (policy, tokens, revoked certificates), and follows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import ConfigError
from sidecar.file_reloader import FileReloader, read_file
from sidecar.trust.callers import CallerGate
from sidecar.trust.policy import Policy, read_policy
from sidecar.trust.tokens import read_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerFiles:
    """Files by the names of their options. Raises ConfigError where one cannot be used."""

    policy: Path
    tokens: Path | None = None
    tls_crl: Path | None = None
    tls_client_ca: Path | None = None

    def open(self) -> tuple[CallerGate, list[FileReloader]]:
        """Return the gate, and the reloader of its files, not started yet. Raises ConfigError."""
        policy = read_file(self.policy, "--policy")
        gate = CallerGate(self._policy(policy))
        reloaders = [
            FileReloader(
                self.policy, "--policy", lambda content: gate.replace(policy=self._policy(content)), known=policy
            )
        ]
        if self.tokens is not None:
            content = read_file(self.tokens, "--tokens")
            gate.replace(tokens=self._tokens(content))
            reloaders.append(
                FileReloader(
                    self.tokens, "--tokens", lambda found: gate.replace(tokens=self._tokens(found)), known=content
                )
            )
        if self.tls_crl is not None:
            content = read_file(self.tls_crl, "--tls-crl")
            gate.replace(revoked=self._revoked(content))
            reloaders.append(
                FileReloader(
                    self.tls_crl, "--tls-crl", lambda found: gate.replace(revoked=self._revoked(found)), known=content
                )
            )
        return gate, reloaders

    def _policy(self, content: bytes) -> Policy:
        return read_policy(content, f"--policy {self.policy}")

    def _tokens(self, content: bytes) -> Mapping[bytes, str]:
        return read_tokens(content.decode(errors="replace"), f"--tokens {self.tokens}")

    def _revoked(self, content: bytes) -> Callable[[bytes], bool]:
        try:
            from sidecar.trust.revocation import read_revoked  # noqa: PLC0415 - cryptography, only where it is configured
        except ImportError as error:
            raise ConfigError(
                f"--tls-crl needs {error.name}, which is not installed: pip install 'dc-sidecar[trust]'"
            ) from error
        if self.tls_client_ca is None:
            raise ConfigError("--tls-crl: expected --tls-client-ca beside it, whose certificates it revokes")
        authorities = read_file(self.tls_client_ca, "--tls-client-ca")
        return read_revoked(content, authorities, f"--tls-crl {self.tls_crl}").has
