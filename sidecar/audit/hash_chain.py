"""The hash chain of the journal: each line has the digest of the one before, so no change or removal goes unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sidecar.errors import ChainBroken
from sidecar.gil import encode_json
from sidecar.yaml_reader import Checkpoint

START = "0" * 64
"""The digest that the first line names as its predecessor's."""

_HASH = b',"hash":"'
_SUFFIX = len(_HASH) + 64 + len(b'"}')


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One line: its number from 1, its digest, that of the previous line, and its content."""

    number: int
    digest: str
    previous: str
    body: Mapping[str, Any]


def append_link(
    body: Mapping[str, Any], number: int, previous: str, checkpoint: Checkpoint = lambda: None
) -> tuple[bytes, str]:
    """Return the next line of a chain, line break included, and its digest. `checkpoint` is called at each value."""
    whole = {"number": number, **body, "previous": previous}
    start = encode_json(whole, checkpoint, separators=(",", ":")).encode("utf-8", "replace")
    digest = sha256(start).hexdigest()
    return start[:-1] + _HASH + digest.encode() + b'"}\n', digest


def read_link(line: bytes) -> ChainLink:
    """Parse a line, without its line break. Raises ChainBroken if its digest is not that of its bytes."""
    start, end = line[:-_SUFFIX] + b"}", line[-_SUFFIX:]
    if not end.startswith(_HASH) or end != _HASH + sha256(start).hexdigest().encode() + b'"}':
        raise ChainBroken("the line is not as it was written")
    try:
        body = json.loads(start)
        return ChainLink(int(body["number"]), end[len(_HASH) : -2].decode(), str(body["previous"]), body)
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
        raise ChainBroken("the line is no record") from error
