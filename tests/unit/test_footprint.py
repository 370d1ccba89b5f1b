"""Documents that need more memory than there is are refused while they are read, wherever they grow."""

from __future__ import annotations

import json

import pytest

from sidecar.errors import DocumentRejected, Problem
from sidecar.footprint import NODE, UNLIMITED, document_budget
from sidecar.routing.document import parse_document

_MIB = 1024 * 1024
_LIMIT = 128 * _MIB


def _refusal(text: str, budget: int) -> Problem:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(text.encode(), budget=budget)
    return caught.value.problems[-1]


def _many(count: int, entry: str) -> str:
    return "apps:\n" + "".join(f"  {number:x}: {entry}\n" for number in range(count))


@pytest.mark.parametrize(
    "text",
    [
        _many(43_000, "{split: {a: 1,b: 1,c: 1}}")[: _MIB - 30].rpartition("\n")[0],
        _many(40_000, "{jobs: {1: {}}}"),
        "apps: {a: {jobs: {" + "".join(f"{number:x}: d," for number in range(120_000)) + "}}}",
        "default: a\nmeta: {a: [" + "[[]]," * 150_000 + "]}",
    ],
    ids=["splits", "jobs of many applications", "jobs of one application", "meta"],
)
def test_what_the_memory_of_the_chart_does_not_hold_is_refused(text: str) -> None:
    """Texts within 1 MiB that were measured to need more than 128 MiB are refused with the remedy."""
    assert len(text) <= _MIB
    message = _refusal(text, document_budget(_LIMIT)).message
    assert "MiB are allowed: shorten it, or raise --max-memory" in message


@pytest.mark.parametrize(
    "route",
    [
        "{split: {dc1: 90, dc2: 10}, backups: [dc3], min_workers: 2}",
        "{split: {dc1: 5, dc2: 3, dc3: 2}, backups: [dc4], min_workers: 2, failover: {after: 10s, back_after: 5m}}",
    ],
)
def test_what_the_chart_promises_is_accepted(route: str) -> None:
    """10,000 applications with routes of their own, also long ones, fit into the chart's 128 MiB."""
    text = _many(10_000, route).encode()
    assert len(parse_document(text, max_bytes=2 * _MIB, budget=document_budget(_LIMIT)).apps) == 10_000


def test_the_refusal_names_the_entry_that_is_too_much() -> None:
    """Place, found and allowed are those of the first entry that does not fit."""
    problem = _refusal(_many(20_000, "{min_workers: 2}"), 4 * _MIB)
    assert problem.path.startswith("apps.")
    assert problem.line is not None
    assert 200 < problem.line < 20_000
    assert "needs 4.0 MiB of memory up to here, 4.0 MiB are allowed" in problem.message


def test_json_is_measured_like_yaml() -> None:
    """A document in JSON is refused with its place too, and one that fits counts once."""
    tree = {"meta": {"a": [[number] for number in range(1000)]}, "default": "a"}
    text = json.dumps(tree)
    needed = NODE * (3 + 1 + 1 + 1 + 1000 + 1000 + 1000) + 8 * len(text)
    assert parse_document(text.encode(), budget=needed).default.selector is not None
    problem = _refusal(text, needed // 2)
    assert problem.path.startswith("meta.a[")
    assert problem.line == 1


@pytest.mark.parametrize(
    ("limit", "beside", "budget"),
    [
        (None, 0, UNLIMITED),
        (_LIMIT, 0, _LIMIT * 9 // 10 - 45 * _MIB),
        (3 * _LIMIT // 2, 64 * _MIB, 3 * _LIMIT // 2 * 9 // 10 - 109 * _MIB),
        (32 * _MIB, 0, 4 * _MIB),
        (64 * 1024 * _MIB, 0, UNLIMITED),
    ],
)
def test_the_budget_is_what_the_limit_leaves(limit: int | None, beside: int, budget: int) -> None:
    """A tenth, the sidecar itself and what is beside it are taken off; small documents always fit."""
    assert document_budget(limit, beside=beside) == budget
