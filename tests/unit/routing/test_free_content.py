"""Free content of a document: `meta` and reasons, within bounds."""

from __future__ import annotations

import json

import pytest

from sidecar.errors import DocumentRejected
from sidecar.routing.document import parse_document
from sidecar.routing.free_content import MAX_META_CHARACTERS, MAX_META_ENTRIES, MAX_REASON

_ENTRIES = f"found more than {MAX_META_ENTRIES:,} entries or {MAX_META_CHARACTERS:,} characters"


def _refusal(document: object) -> str:
    with pytest.raises(DocumentRejected) as refused:
        parse_document(json.dumps(document).encode())
    return str(refused.value)


@pytest.mark.parametrize(
    "meta",
    [
        {f"{number}": "" for number in range(MAX_META_ENTRIES)},
        {"a": ["x"] * (MAX_META_ENTRIES - 1)},
        {"a": [[]] * (MAX_META_ENTRIES - 1)},
        {"a": {"b": "x" * (MAX_META_CHARACTERS - 2)}},
        {
            "paused": {
                "apps": {
                    f"app-{number:04d}": {"from": "old", "to": "new", "duration": "2h", "steps": "8"}
                    for number in range(1600)
                }
            }
        },
    ],
    ids=["keys", "items", "lists", "characters", "paused ramps"],
)
def test_meta_at_its_bound_is_taken(meta: dict[str, object]) -> None:
    """As much as the bound allows is kept as it stands, in whatever shape."""
    assert parse_document(json.dumps({"meta": meta}).encode()).meta == meta


@pytest.mark.parametrize(
    "meta",
    [
        {f"{number}": "" for number in range(MAX_META_ENTRIES + 1)},
        {"a": ["x"] * MAX_META_ENTRIES},
        {"a": [[]] * MAX_META_ENTRIES},
        {"a": {"b": "x" * (MAX_META_CHARACTERS - 1)}},
        {"x" * (MAX_META_CHARACTERS + 1): ""},
    ],
    ids=["keys", "items", "lists", "characters", "key"],
)
def test_meta_beyond_its_bound_is_refused(meta: dict[str, object]) -> None:
    """One entry or character more is one problem, with the place of `meta` and the remedy."""
    refusal = _refusal({"meta": meta, "default": "dc1"})
    assert refusal.startswith(f"meta (line 1, column 10): {_ENTRIES}")
    assert "shorten it" in refusal


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"drills": [{"datacenter": "dc1", "until": "2026-11-22T10:00:00Z"}]}, "drills[0].reason"),
        ({"workers": [{"match": "a:1", "available": False}]}, "workers[0].reason"),
    ],
)
def test_a_reason_has_a_bound(entry: dict[str, list[dict[str, object]]], path: str) -> None:
    """A reason of the largest size is taken; a longer one is refused, with its place."""
    ((_, (fields,)),) = entry.items()
    fields["reason"] = "x" * MAX_REASON
    document = parse_document(json.dumps(entry).encode())
    reasons = [drill.reason for drill in document.drills] + [rule.reason for rule in document.workers]
    assert [len(reason) for reason in reasons] == [MAX_REASON]
    fields["reason"] = "x" * (MAX_REASON + 1)
    refusal = _refusal(entry)
    assert refusal.startswith(f"{path} (line 1, column ")
    assert "found 4,097 characters, expected at most 4,096" in refusal
