"""`shift`, and with it what `-o json` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.routing.document import revision_of
from tests.unit.cli.conftest import TEXT, Run


def test_json_is_the_whole_change(run: Run, key: Path) -> None:
    """`-o json` is one object on stdout, also for a refusal; messages are on stderr."""
    result = run("shift", "billing", "dc1=3", "dc2=1", "-y", "-o", "json").json
    assert result["source"] == f"file:{key}"
    assert result["written"] is True
    assert result["revision"] == revision_of(key.read_bytes())
    assert result["revision_before"] == revision_of(TEXT.encode())
    assert result["effect"][0]["why"] == "now"
    assert result["effect"][0]["moves"] == [
        {
            "subjects": [{"app": "billing", "job": None}],
            "unit": "jobs",
            "moves": [{"from": "dc1", "to": "dc2", "share": 0.25}],
            "shares": {"dc1": 0.75, "dc2": 0.25},
        }
    ]
    again = run("shift", "billing", "dc1=3", "dc2=1", "-y", "-o", "json")
    assert again.code == 0
    assert [(o["rule"], o["forced"]) for o in again.json["objections"]] == [("same", False)]
    assert again.json["written"] is False
    refused = run("shift", "billing", "dc1=1", "dc2=1", "-y", "-o", "json")
    assert refused.code == 3
    assert [(o["rule"], o["forced"]) for o in refused.json["objections"]] == [("hold-off", False)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["billing"],
        ["billing", "dc1"],
        ["billing", "dc1=x"],
        ["billing", "dc1=-1"],
        ["billing", "dc1=1", "dc1=2"],
        ["dc1=1", "dc2=1"],
    ],
    ids=" ".join,
)
def test_wrong_usage_changes_nothing(run: Run, key: Path, arguments: list[str]) -> None:
    """Exit code 2, a sentence on stderr, nothing on stdout, nothing written."""
    result = run("shift", *arguments, "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert result.err
