"""Which datacenter of a split a key belongs to."""

from __future__ import annotations

import hashlib
import math
from itertools import permutations

import pytest

from sidecar.routing import rendezvous
from sidecar.routing.rendezvous import preference, score


def test_the_score_is_that_of_the_design() -> None:
    """Other implementations, in any language, come to the same number."""
    digest = hashlib.sha256(b"billing\n1001\ndc1").digest()
    h = int.from_bytes(digest[:8], "big") // 2**12
    assert score("billing", "1001", "dc1", 80) == -80 / math.log((h + 0.5) / 4503599627370496)


def test_names_are_hashed_as_utf_8() -> None:
    """Any text is a name, also one with half of a character, as a command line can have it."""
    assert score("счёт", "1", "dc1", 1) > 0
    assert score("\udcff", "1", "dc1", 1) > 0


def test_the_order_of_the_document_does_not_matter() -> None:
    """Only names and weights count."""
    weights = (("dc1", 5.0), ("dc2", 3.0), ("dc3", 1.0))
    assert len({tuple(preference("a", "7", order)) for order in permutations(weights)}) == 1


def test_no_weight_no_part() -> None:
    """A weight of 0 is as good as no entry."""
    assert preference("a", "7", (("dc1", 0.0), ("dc2", 1.0))) == ["dc2"]
    assert set(preference("a", "7", (("dc1", 0.01), ("dc2", 1.0)))) == {"dc1", "dc2"}


def test_equal_scores_go_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller name is the first."""
    monkeypatch.setattr(rendezvous, "score", lambda *_: 1.0)
    assert preference("a", "7", (("dc2", 1.0), ("dc10", 1.0), ("dc1", 1.0))) == ["dc1", "dc10", "dc2"]


def test_extreme_weights_keep_an_order() -> None:
    """The greatest and the smallest numbers neither raise nor tie against their weight."""
    assert preference("a", "7", (("dc1", 5e-324), ("dc2", 1.7e308), ("dc3", 1.0)))[0] == "dc2"
