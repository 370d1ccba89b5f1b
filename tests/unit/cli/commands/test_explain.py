"""`explain`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Run


def test_it_ends_in_the_answer(run: Run, document: Path) -> None:
    """The steps are numbered, and the last one is the answer."""
    result = run("explain", str(document), "--app", "x", "--candidates", "dc1=2,dc2=1")
    assert result.code == 0
    assert [line[:2] for line in result.out.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    assert "   dc1: ACTIVE, 2 of 3 candidates\n     dc1-1\n     dc1-2\n" in result.out


def test_an_unknown_application_goes_by_the_default_route(run: Run, document: Path) -> None:
    """A name that the document does not have is said to go by the default route, in text and in JSON."""
    result = run("explain", str(document), "--app", "biling", "--candidates", "dc1=1")
    assert result.out.startswith("1. The route of biling: by the default route, as the document does not name biling;")
    unknown = run("explain", str(document), "--app", "biling", "--candidates", "dc1=1", "-o", "json").json
    known = run("explain", str(document), "--app", "billing", "--candidates", "dc1=1", "-o", "json").json
    assert (unknown["by_default_route"], known["by_default_route"]) == (True, False)


def test_json_has_the_decision(run: Run, document: Path) -> None:
    """-o json has the decision with its reason's name, and what led to it."""
    answer = run("explain", str(document), "--app", "billing", "--candidates", "dc1=1", "-o", "json").json
    assert answer["decision"] == {"reason": "NO_WORKERS", "datacenter": "", "indices": [], "addresses": []}
    assert answer["route"] == "apps.billing"


def test_a_document_that_is_not_valid(run: Run, document: Path) -> None:
    """It is reported as `check` reports it, not as a traceback."""
    document.write_text("default: {activ: dc1}")
    result = run("explain", str(document), "--app", "x", "--candidates", "dc1=1")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: default.activ (line 1, column 11): ")
