"""Who wrote a text is looked up in the config center's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.audit.authorship import Authorship
from sidecar.errors import SourceError
from sidecar.sources.base import Author, HistoryEntry


@dataclass
class Center:
    """A history with authors by version, or one that may not be read."""

    authors: Mapping[str, Author] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: bool = False

    def entries(self, limit: int, timeout: float) -> Sequence[HistoryEntry]:
        raise NotImplementedError

    def author(self, version: str, timeout: float) -> Author | None:
        assert timeout <= 2
        self.asked.append(version)
        if self.refuses:
            raise SourceError("status 403")
        return self.authors.get(version)


def test_user_and_address_are_those_of_the_version() -> None:
    """What the config center does not know of an author is left out; an unknown version has none."""
    authorship = Authorship(Center({"v2": Author("lin", "10.0.0.1"), "v1": Author("", "x")}))
    assert authorship.of("v2") == {"user": "lin", "address": "10.0.0.1"}
    assert authorship.of("v1") == {"address": "x"}
    assert authorship.of("v0") == {}


def test_a_source_without_a_history_has_no_authors() -> None:
    """Without a history no author is known."""
    assert Authorship(None).of("v1") == {}


def test_a_history_that_may_not_be_read_is_left_alone_for_a_while() -> None:
    """After three failures in a row the history is not asked for ten minutes, then again."""
    center, now = Center({"v5": Author("lin")}, refuses=True), [0.0]
    authorship = Authorship(center, clock=lambda: now[0])
    assert [authorship.of(version) for version in ("v1", "v2", "v3", "v4")] == [{}] * 4
    assert center.asked == ["v1", "v2", "v3"]
    center.refuses, now[0] = False, 601.0
    assert authorship.of("v5") == {"user": "lin"}


def test_one_slow_answer_costs_one_author() -> None:
    """A failure alone changes nothing for the next lookup, and an answer between failures makes them count anew."""
    center = Center({"good": Author("lin")})
    authorship = Authorship(center, clock=lambda: 0.0)
    for _ in range(4):
        center.refuses = True
        assert authorship.of("bad") == {}
        assert authorship.of("bad") == {}
        center.refuses = False
        assert authorship.of("good") == {"user": "lin"}
