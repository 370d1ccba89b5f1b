"""Opens what decides who may call, where a policy is configured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sidecar.file_reloader import FileReloader
    from sidecar.trust.callers import CallerGate


class CallerSettings(Protocol):
    """The settings of a server that has callers."""

    @property
    def policy(self) -> Path | None:
        """The policy, None where everybody may do everything."""

    @property
    def tokens(self) -> Path | None:
        """Digests of bearer tokens."""

    @property
    def tls_crl(self) -> Path | None:
        """Lists of revoked certificates."""

    @property
    def tls_client_ca(self) -> Path | None:
        """The authorities of the clients' certificates."""


def opened(settings: CallerSettings) -> tuple[CallerGate | None, list[FileReloader]]:
    """Return the gate for callers, None where everybody may call, and the reloader of its files. Raises ConfigError."""
    if settings.policy is None:
        return None, []
    from sidecar.trust.caller_files import CallerFiles  # noqa: PLC0415 - only where it is configured

    files = CallerFiles(
        policy=settings.policy, tokens=settings.tokens, tls_crl=settings.tls_crl, tls_client_ca=settings.tls_client_ca
    )
    return files.open()
