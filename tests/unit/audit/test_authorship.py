"""Who wrote a text, by the config center's history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sidecar.audit.authorship import Authorship
from sidecar.errors import SourceError


@dataclass(frozen=True)
class Change:
    """One entry of a history."""

    version: str | None
    operator: str = ""
    address: str = ""


@dataclass
class Center:
    """A source with a history, or one that may not be read."""

    changes: Sequence[Change] = ()
    asked: list[int] = field(default_factory=list)
    refuses: bool = False

    def history(self, limit: int, timeout: float) -> Sequence[Change]:
        assert timeout <= 2
        self.asked.append(limit)
        if self.refuses:
            raise SourceError("status 403")
        return self.changes


def test_user_and_address_are_those_of_the_version() -> None:
    """Not the newest write counts, but that of the text which took effect; what is not known is left out."""
    origins = Authorship(
        Center([Change("v3", "eve", "10.0.0.9"), Change("v2", "lin", "10.0.0.1"), Change("v1", "", "x")])
    )
    assert origins.of("v2") == {"user": "lin", "address": "10.0.0.1"}
    assert origins.of("v1") == {"address": "x"}
    assert origins.of("v0") == {}


def test_a_source_without_a_history_has_no_authors() -> None:
    """A file knows nobody."""
    assert Authorship(object()).of("v1") == {}


def test_a_history_that_may_not_be_read_is_left_alone_for_a_while() -> None:
    """A sidecar whose user may only read the key does not knock at each change; ten minutes later it tries again."""
    center, now = Center([Change("v3", "lin")], refuses=True), [0.0]
    origins = Authorship(center, elapsed=lambda: now[0])
    assert (origins.of("v1"), origins.of("v2"), len(center.asked)) == ({}, {}, 1)
    center.refuses, now[0] = False, 601.0
    assert origins.of("v3") == {"user": "lin"}
