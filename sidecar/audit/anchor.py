"""An anchor of the audit: the number and digest of its newest record, signed, to be kept out of its reach."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.audit.chain_head import ChainHead


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head, the URL of the source whose audit it is of, when it was signed (RFC 3339), and the SSH signature."""

    head: ChainHead
    source: str
    at: str
    signature: str = ""

    @property
    def message(self) -> bytes:
        """The signed bytes: the other fields as JSON, sorted, without blanks: `jq -cSj 'del(.signature)'`."""
        fields = {name: value for name, value in self.plain().items() if name != "signature"}
        text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode("utf-8", "replace")

    def plain(self) -> dict[str, Any]:
        """Return it as JSON carries it."""
        return {
            "number": self.head.number,
            "hash": self.head.digest,
            "source": self.source,
            "at": self.at,
            "signature": self.signature,
        }


def anchor_of(plain: object) -> Anchor:
    """Return the anchor that `plain` made a mapping of. Raises ValueError for anything else."""
    if isinstance(plain, Mapping):
        number, digest, source, at, signature = map(plain.get, ("number", "hash", "source", "at", "signature"))
        if (
            type(number) is int
            and isinstance(digest, str)
            and isinstance(source, str)
            and isinstance(at, str)
            and isinstance(signature, str)
        ):
            return Anchor(ChainHead(number, digest), source, at, signature)
    raise ValueError("expected number, hash, source, at and signature")
