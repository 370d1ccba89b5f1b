"""Reads signatures in OpenSSH's format SSHSIG (PROTOCOL.sshsig), without verifying them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

MAGIC = b"SSHSIG"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it was read: `key` is the public key's blob, `namespace` what it was made for.

    `signed` is the signature proper: its algorithm, and what that takes.
    """

    key: bytes
    namespace: bytes
    hash_name: str
    signed: bytes

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the key, as OpenSSH shows it."""
        return fingerprint_of(self.key)


def fingerprint_of(key: bytes) -> str:
    """Return the fingerprint of a public key's blob, as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def read_signature(text: str) -> Signature | None:
    """Return the signature of a base64 blob, None if it is none."""
    try:
        blob = base64.b64decode(text, validate=True)
        if blob[:6] != MAGIC or blob[6:10] != b"\0\0\0\1":
            return None
        rest = blob[10:]
        key, rest = string(rest)
        namespace, rest = string(rest)
        _reserved, rest = string(rest)
        hash_name, rest = string(rest)
        signed, rest = string(rest)
    except (binascii.Error, ValueError):
        return None
    if rest or hash_name not in (b"sha256", b"sha512"):
        return None
    return Signature(key, namespace, hash_name.decode(), signed)


def strings(blob: bytes, count: int) -> list[bytes]:
    """Return so many strings, which must be all that a blob has. Raises ValueError."""
    found = []
    for _ in range(count):
        part, blob = string(blob)
        found.append(part)
    demand(not blob)
    return found


def string(blob: bytes) -> tuple[bytes, bytes]:
    """Return the string that a blob begins with, and the rest. Raises ValueError."""
    length = int.from_bytes(blob[:4], "big")
    demand(4 + length <= len(blob))
    return blob[4 : 4 + length], blob[4 + length :]


def demand(condition: bool) -> None:  # noqa: FBT001 - like assert
    """Raise ValueError unless a condition holds."""
    if not condition:
        raise ValueError("a blob does not have the form that it should have")
