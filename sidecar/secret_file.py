"""Reads secrets from files, where operators and orchestrators put them."""

from __future__ import annotations

from pathlib import Path

from sidecar.errors import SecretUnreadable


def read_secret(path: Path) -> str:
    """Return the secret in a file: its UTF-8 text without line breaks at the end. Raises SecretUnreadable."""
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretUnreadable(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretUnreadable("cannot be read: it is not UTF-8 text") from error
    if not secret.strip():
        raise SecretUnreadable("is empty, expected the secret in it")
    return secret
