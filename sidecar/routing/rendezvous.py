"""Orders the datacenters of a split for a key: weighted rendezvous hashing (docs/decision-rules.md, "Scores")."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from math import log


def score(app: str, key: str, datacenter: str, weight: float) -> float:
    r"""Return the score of a datacenter for a key; the highest one takes it. `weight` must be more than 0.

    The score is -weight / ln((h + 0.5) / 2^52), h being the top 52 bits of SHA-256 over `app \n key \n datacenter`.
    It depends on no other datacenter: moving weight between two of them moves no key of a third.
    """
    digest = sha256(f"{app}\n{key}\n{datacenter}".encode(errors="surrogatepass")).digest()
    h = int.from_bytes(digest[:8], "big") >> 12
    return -weight / log((h + 0.5) / 2**52)


def preference(app: str, key: str, weights: Sequence[tuple[str, float]]) -> list[str]:
    """Return the datacenters that have weight by descending score; of equal scores the smaller name first."""
    scored = [(-score(app, key, datacenter, weight), datacenter) for datacenter, weight in weights if weight > 0]
    scored.sort()
    return [datacenter for _, datacenter in scored]
