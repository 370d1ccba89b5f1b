"""What commands print."""

from __future__ import annotations

import ast
from pathlib import Path

import click
import pytest

import sidecar.cli
from sidecar.cli.render import Style, change_lines, change_report, columns, print_json, print_lines, say, styled
from sidecar.editing.facts import Facts
from sidecar.editing.review import review
from sidecar.editing.rules import SafetyRules
from tests.unit.editing.changes import drafted, switch


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Colours do not count, escapes do, and no line ends in blanks."""
    assert columns([("a", styled("bb", Style.RED), "c"), ("a\x1b", "b", "")]) == [
        f"a      {styled('bb', Style.RED)}  c",
        "a\\x1b  b",
    ]


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a name has in it: no line break, no sequence and nothing invisible gets out."""
    evil = "billing\x1b[31m\n00:00:00 error: forged\r\u202e"
    shown = r"billing\x1b[31m\n00:00:00 error: forged\r\u202e"
    print_lines([evil, styled(evil, Style.BOLD)])
    say(evil)
    print_json({"name": evil})
    out, err = capsys.readouterr()
    assert out.startswith(f"{shown}\n{shown}\n")
    assert out.endswith('{\n  "name": "billing\\u001b[31m\\n00:00:00 error: forged\\r\\u202e"\n}\n')
    assert err == "billing\\x1b[31m\n  00:00:00 error: forged\\r\\u202e\n"


def test_styles_are_sequences_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each style ends with its text; a character that a text brought along ends with its line."""
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    print_lines([f"{styled('good', Style.GREEN)}  done", f"name{Style.RED.value}", "plain"])
    assert capsys.readouterr().out == "\x1b[32mgood\x1b[0m  done\x1b[0m\nname\x1b[31m\x1b[0m\nplain\n"


@pytest.mark.parametrize("path", sorted(Path(sidecar.cli.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_one_module_prints(path: Path) -> None:
    """Commands print through `render`, which escapes: they neither echo nor style by themselves."""
    used = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    printing = used & {"click.echo", "click.secho", "click.style", "click.echo_via_pager", "print"}
    assert printing == ({"click.echo"} if path.name == "render.py" else set())


def test_a_change_is_difference_effect_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """In that order, and what was forced at the end."""
    draft = drafted(switch("dc2", "billing"))
    judged = review(draft, Facts(counts={"dc1": 1}), SafetyRules())
    print_lines(change_lines(draft, judged, {"workers"}))
    lines = click.unstyle(capsys.readouterr().out).splitlines()
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
