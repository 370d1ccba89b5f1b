"""Reads the file of bearer tokens: a name and the SHA-256 of a token a line; the file reveals no token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from sidecar.errors import ConfigError

_LINE = re.compile(r"([\w.-]{1,64})\s+sha256:([0-9a-fA-F]{64})")


def digest_of(token: str) -> bytes:
    """Return the digest of a token, by which it is looked up."""
    return sha256(token.encode()).digest()


def read_tokens(text: str, place: str) -> Mapping[bytes, str]:
    """Return the names of the tokens in a file by their digests. Raises ConfigError, naming the line."""
    found: dict[bytes, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.partition("#")[0].strip()
        if not stripped:
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise ConfigError(f"{place}:{number}: expected NAME sha256:HEX, made with `printf %s TOKEN | sha256sum`")
        digest = bytes.fromhex(match[2])
        if found.setdefault(digest, match[1]) != match[1]:
            raise ConfigError(f"{place}:{number}: {found[digest]} and {match[1]} have the same token")
    return found
