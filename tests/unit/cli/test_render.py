"""What commands print."""

from __future__ import annotations

import click

from sidecar.cli.render import change_lines, change_report, columns
from sidecar.editing.facts import Facts
from sidecar.editing.review import review
from sidecar.editing.safety_rules import SafetyRules
from tests.unit.editing.changes import drafted, switch


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Colours do not count, and no line ends in blanks."""
    assert columns([("a", click.style("bb", fg="red"), "c"), ("aaa", "b", "")]) == [
        f"a    {click.style('bb', fg='red')}  c",
        "aaa  b",
    ]


def test_a_change_is_difference_effect_notes() -> None:
    """In that order, and what was forced at the end."""
    draft = drafted(switch("dc2", "billing"))
    judged = review(draft, Facts(counts={"dc1": 1}), SafetyRules())
    lines = [click.unstyle(line) for line in change_lines(draft, judged, {"workers"})]
    effect = lines.index("Now:")
    assert lines[0].startswith("--- revision ")
    assert lines[effect + 1] == "  billing: all jobs dc1 → nobody"
    assert lines[effect + 2].startswith("Note: ")
    forced = lines.index("Forced despite workers: dc2 has no live worker, expected at least 1: start more")
    assert effect < forced


def test_a_report_is_the_same_as_data() -> None:
    """What broke a rule is named, and whether it was forced."""
    draft = drafted(switch("dc2", "billing"))
    judged = review(draft, Facts(counts={"dc1": 1}), SafetyRules())
    report = change_report(draft, judged, {"same"})
    assert (report["revision_before"], report["revision"]) == (draft.current.revision, draft.new.revision)
    assert report["written"] is False
    assert [(one["rule"], one["forced"]) for one in report["objections"]] == [("workers", False)]
