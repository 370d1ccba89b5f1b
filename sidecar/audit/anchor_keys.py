"""Opens the keys of anchors: the private one signs, the public one verifies; `cryptography` is imported only here."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Protocol

from sidecar.errors import ConfigError

_OPTION = "--anchor-key"


class SigningKey(Protocol):
    """A private key."""

    def sign(self, content: bytes, /) -> str:
        """Return a signature over a content: SSHSIG, as base64."""
        ...


class VerifyingKey(Protocol):
    """A public key."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint, as `ssh-keygen -l` shows it."""
        ...

    def problem(self, content: bytes, signature: str, /) -> str:
        """Return the problem of a signature over a content, "" for a valid one."""
        ...


def signing_key(path: Path) -> SigningKey:
    """Return the private key in a file. Raises ConfigError."""
    key: SigningKey = _keys().open_private_key(path, _OPTION)
    return key


def verifying_key(path: Path) -> VerifyingKey:
    """Return the public key in a file. Raises ConfigError."""
    key: VerifyingKey = _keys().open_public_key(path, _OPTION)
    return key


def _keys() -> ModuleType:
    try:
        from sidecar.trust import anchor_key  # noqa: PLC0415 - 5 MiB, only where it is configured
    except ImportError as error:
        raise ConfigError(
            f"{_OPTION} needs {error.name}, which is not installed: pip install 'dc-sidecar[trust]'"
        ) from error
    return anchor_key
