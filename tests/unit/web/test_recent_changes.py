"""The last changes that the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.web.recent_changes import RecentChanges


class Record:
    """A record of the audit at a time, that a test describes."""

    def __init__(self, at_ns: int, **more: Any) -> None:  # noqa: ANN401 - JSON
        self.shown = {"at_ns": at_ns, "at": str(at_ns), "cause": "document", "events": [{"kind": "applied"}], **more}

    def outline(self) -> dict[str, Any]:
        return self.shown


def test_earlier_changes_stand_before_those_of_the_process() -> None:
    """What the audit remembers comes after what was reported since, the newest first, each once, thirty of them."""

    def history(*_: object) -> Iterator[dict[str, Any]]:
        return (Record(at).outline() for at in range(40, 0, -1))

    recent = RecentChanges(history)
    # The journal has it already.
    recent.take(Record(40))
    recent.take(Record(41))
    shown = [int(change["at"]) for change in recent.newest_first()]
    assert shown == list(range(41, 11, -1))
    recent.take(Record(42))
    assert [int(change["at"]) for change in recent.newest_first()][:2] == [42, 41]
    assert recent.count == 3


def test_a_page_without_its_audit_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Where the disk cannot be read there are the changes of this process, and one warning."""

    def history(*_: object) -> Iterator[dict[str, Any]]:
        raise PermissionError(13, "Permission denied")

    recent = RecentChanges(history)
    recent.take(Record(1))
    for _ in range(2):
        assert [change["at"] for change in recent.newest_first()] == ["1"]
    assert len(caplog.records) == 1


def test_a_change_is_shown_as_far_as_it_can_be_read() -> None:
    """Ten thousand names, a document of lines, texts that are no texts: each is cut, and the number is reported."""
    event = {"kind": "switch", "words": "dc1 → dc2", "subjects": tuple(map(str, range(10_000)))}
    recent = RecentChanges()
    recent.take(
        Record(1, events=[event], changes=["a"] * 30, difference=["+" + "x" * 999] * 500, meta={"by": "lin", "n": 1})
    )
    (shown,) = recent.newest_first()
    assert shown["events"] == [{**event, "subjects": [str(number) for number in range(50)], "total": 10_000}]
    assert len(shown["words"]) == 20
    assert len(shown["difference"]) == 201
    assert shown["difference"][-1] == "… and 300 lines more"
    assert max(map(len, shown["difference"])) == 300
    assert shown["meta"] == {"by": "lin"}


def test_each_change_is_told_to_those_who_follow() -> None:
    """`changed` is called after each."""
    recent = RecentChanges()
    counts: list[int] = []
    recent.subscribe(lambda: counts.append(recent.count))
    for at in (1, 2):
        recent.take(Record(at))
    assert counts == [1, 2]
