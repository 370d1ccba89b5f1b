"""The sidecar's own Ed25519 key, which signs the head of its audit; imported only where it is configured."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sidecar.errors import ConfigError
from sidecar.trust.sshsig import MAGIC, fingerprint_of, read_signature
from sidecar.trust.verification import Message, verifies

NAMESPACE = "dc-sidecar-anchor"
"""The namespace of anchors' signatures (`ssh-keygen -Y verify -n`); no signature of a document counts as one."""

_KIND = b"ssh-ed25519"
_HASH = "sha512"
_MAX_BYTES = 16 * 1024
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_REMEDY = "make one with `ssh-keygen -t ed25519 -N '' -f FILE`"


@dataclass(frozen=True, slots=True)
class AnchorKey:
    """A private key that signs anchors."""

    private: Ed25519PrivateKey

    def sign(self, content: bytes) -> str:
        """Return the signature over a content, in OpenSSH's format (SSHSIG), as base64."""
        parts = (NAMESPACE.encode(), b"", _HASH.encode(), Message(content).digest(_HASH))
        signed = self.private.sign(MAGIC + b"".join(map(_string, parts)))
        signature = _string(_KIND) + _string(signed)
        head = b"\0\0\0\1" + b"".join(map(_string, (_blob(self.private.public_key()), *parts[:3])))
        return base64.b64encode(MAGIC + head + _string(signature)).decode()


@dataclass(frozen=True, slots=True)
class AnchorPublicKey:
    """The public half of a key: its blob."""

    blob: bytes

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint, as `ssh-keygen -l` shows it."""
        return fingerprint_of(self.blob)

    def problem(self, content: bytes, signature: str) -> str:
        """Return the problem of a signature over a content, "" for a valid one."""
        found = read_signature(signature)
        if found is None:
            return "its signature is none"
        if found.key != self.blob:
            return f"it is signed by another key, {found.fingerprint}, expected {self.fingerprint}"
        return "" if verifies(found, Message(content), NAMESPACE) else "its signature is wrong"


def open_private_key(path: Path, option: str) -> AnchorKey:
    """Return the private key in a file, OpenSSH or PEM. Raises ConfigError, also where others can read it."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error.strerror}; {_REMEDY}") from error
    if readers := _readers(found):
        raise ConfigError(f"{option}: {path}: {readers}, expected a key that only this user can read: chmod 600")
    load = serialization.load_ssh_private_key if content.startswith(_OPENSSH) else serialization.load_pem_private_key
    try:
        key = load(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{option}: {path} holds no private key without a passphrase; {_REMEDY}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{option}: {path} holds a key of another kind, expected Ed25519; {_REMEDY}")
    return AnchorKey(key)


def open_public_key(path: Path, option: str) -> AnchorPublicKey:
    """Return the public key in a file: a line as ssh-keygen writes it, or PEM. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error.strerror}") from error
    try:
        key = (
            serialization.load_pem_public_key(content)
            if content.startswith(b"-----BEGIN")
            else serialization.load_ssh_public_key(content.strip())
        )
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(
            f"{option}: {path} holds no public Ed25519 key: `ssh-keygen -y -f FILE` prints that of a private one"
        )
    return AnchorPublicKey(_blob(key))


def _blob(key: Ed25519PublicKey) -> bytes:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _string(_KIND) + _string(raw)


def _string(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def _readers(found: os.stat_result) -> str:
    """Return who else can read a file, "" for nobody. The chart's fsGroup, which has the user's number, is nobody."""
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in {0, os.geteuid()}:
        return f"it belongs to user {found.st_uid}"
    if mode & 0o007:
        return f"everybody can use it (mode {mode:04o})"
    if mode & 0o070 and found.st_gid not in {found.st_uid, os.geteuid()}:
        return f"group {found.st_gid} can use it (mode {mode:04o})"
    return ""
