"""The commands that change the document, on a file: what they write, print and exit with."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar.cli import main
from sidecar.routing.document import parse_document, revision_of

_TEXT = """\
# ours
default: {active: dc1, backups: [dc2]}
apps:
  billing: dc1  # money
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.out))

    @property
    def entries(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", json.loads(self.out))


Run = Callable[..., Result]


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that is the key, which every command finds in its environment."""
    for name in [*os.environ]:
        if name.startswith("DC_SIDECAR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DC_SIDECAR_SOURCE", f"file:{tmp_path / 'routing.yaml'}")
    path = tmp_path / "routing.yaml"
    path.write_text(_TEXT)
    return path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], key: Path) -> Run:  # noqa: ARG001 - the commands find it
    """Run a command and return what it said; standard input is no terminal."""

    def run(*arguments: str) -> Result:
        code = main(arguments)
        return Result(code, *capfd.readouterr())

    return run


def test_a_switch_is_shown_and_written(run: Run, key: Path) -> None:
    """The difference and the effect are data, what is said about it is talk; comments stay."""
    result = run("switch", "billing", "dc2", "--yes", "--by", "lin", "--reason", "hot")
    assert result.code == 0
    assert re.search(r"^-  billing: dc1  # money\n\+  billing: dc2  # money$", result.out, re.MULTILINE)
    assert "billing: all jobs dc1 → dc2" in result.out
    assert result.err == f"Written: revision {revision_of(key.read_bytes())}.\n"
    assert re.sub(r"at: \S+,", "at: …,", key.read_text()) == _TEXT.replace(
        "default", "meta: {by: lin, at: …, reason: hot}\ndefault"
    ).replace("dc1  #", "dc2  #")


def test_a_worker_is_drained_and_gets_work_again(run: Run, key: Path) -> None:
    """The entry is written with its reason, the effect says so, and --undo takes it out again."""
    result = run("drain", "10.1.0.7:*", "--yes", "--reason", "disk")
    assert result.code == 0
    assert '- {match: "10.1.0.7:*", available: false, reason: disk}' in key.read_text()
    assert "10.1.0.7:*: available → drained (disk)" in result.out
    again = run("drain", "10.1.0.7:*", "--yes", "--undo")
    assert again.code == 0
    assert "workers" not in key.read_text()
    assert "10.1.0.7:*: drained (disk) → available" in again.out
    wrong = run("drain", "10.1.0.7:*", "--yes", "--undo")
    assert wrong.code == 3
    assert "found no entry 10.1.0.7:* in `workers`, expected one of: none" in wrong.err
    malformed = run("drain", "10.*.7", "--yes")
    assert malformed.code != 0
    assert "one * at its begin or end" in malformed.err


def test_a_dry_run_writes_nothing(run: Run, key: Path) -> None:
    """`--dry-run` shows the same and stops there."""
    result = run("switch", "billing", "dc2", "--dry-run")
    assert (result.code, key.read_text()) == (0, _TEXT)
    assert "billing: all jobs dc1 → dc2" in result.out
    assert result.err == "Dry run: nothing is written.\n"


def test_without_a_terminal_or_yes_nothing_is_written(run: Run, key: Path) -> None:
    """Nobody to ask is wrong usage, said at once, not a prompt that hangs."""
    result = run("switch", "billing", "dc2")
    assert (result.code, key.read_text()) == (2, _TEXT)
    assert "say --yes" in result.err


def test_a_rule_refuses_and_names_itself(run: Run, key: Path) -> None:
    """Exit code 3, the rule, what would satisfy it, and how to force it; forced, it is done and said so."""
    result = run("switch", "billing", "dc2", "--yes", "--candidates", "dc1=3")
    assert (result.code, key.read_text()) == (3, _TEXT)
    assert "workers: dc2 has no live worker, expected at least 1: start more there" in result.err
    assert "--force workers" in result.err
    forced = run("switch", "billing", "dc2", "--yes", "--candidates", "dc1=3", "--force", "workers")
    assert forced.code == 0
    assert "Forced against workers" in forced.out
    assert "billing: dc2" in key.read_text()


def test_the_configuration_sets_the_rules(run: Run, tmp_path: Path) -> None:
    """Rules come from the file of --config, which `serve` reads too, and flags win over it."""
    config = tmp_path / "sidecar.yaml"
    config.write_text("require-reason: true\nrequire-workers: 2\nhold-off: 1h\ngrace: 5s\n")
    result = run("switch", "billing", "dc2", "--yes", "--config", str(config), "--candidates", "dc2=1")
    assert result.code == 3
    assert "reason: " in result.err
    assert "workers: dc2 has 1 live worker, expected at least 2" in result.err
    config_flags = ("--config", str(config), "--no-require-reason", "--require-workers", "1")
    assert run("switch", "billing", "dc2", "--yes", *config_flags, "--candidates", "dc2=1").code == 0
    held = run("switch", "billing", "dc1", "--yes", *config_flags, "--candidates", "dc1=1")
    assert held.code == 3
    assert "hold-off: the last change" in held.err


def test_json_tells_programs_all_of_it(run: Run, key: Path) -> None:
    """`-o json` is one object on stdout, also of a refusal; the talk is on stderr."""
    result = run("shift", "billing", "dc1=3", "dc2=1", "-y", "-o", "json").json
    assert result["written"] is True
    assert result["revision"] == revision_of(key.read_bytes())
    assert result["revision_before"] == revision_of(_TEXT.encode())
    assert result["effect"][0]["why"] == "now"
    assert result["effect"][0]["moves"] == [
        {
            "subjects": [{"app": "billing", "job": None}],
            "unit": "jobs",
            "moves": [{"from": "dc1", "to": "dc2", "share": 0.25}],
            "shares": {"dc1": 0.75, "dc2": 0.25},
        }
    ]
    refused = run("shift", "billing", "dc1=3", "dc2=1", "-y", "-o", "json")
    assert refused.code == 3
    assert [(o["rule"], o["forced"]) for o in refused.json["objections"]] == [("same", False), ("hold-off", False)]
    assert refused.json["written"] is False


def test_put_takes_the_text_as_it_is(run: Run, key: Path, tmp_path: Path) -> None:
    """A file goes in byte for byte, unless who or why is said; a bad one does not."""
    file = tmp_path / "new.yaml"
    file.write_text("default:   dc2   # odd blanks\n")
    assert run("put", str(file), "--yes").code == 0
    assert key.read_bytes() == file.read_bytes()
    assert run("put", str(file), "--yes", "--by", "lin").code == 0
    assert "by: lin" in key.read_text()
    file.write_text("defualt: dc2\n")
    result = run("put", str(file), "--yes")
    assert result.code == 3
    assert "did you mean `default`?" in result.err


def test_put_can_insist_on_what_it_replaces(run: Run, key: Path, tmp_path: Path) -> None:
    """With --expect a document that is at another revision is left alone: exit code 4."""
    file = tmp_path / "new.yaml"
    file.write_text("dc2\n")
    assert run("put", str(file), "--yes", "--expect", "000000000000").code == 4
    assert key.read_text() == _TEXT
    assert run("put", str(file), "--yes", "--expect", revision_of(_TEXT.encode())).code == 0


def test_get_prints_every_byte(run: Run, key: Path) -> None:
    """`get` is the text as it is, valid or not; nothing there is exit code 3."""
    key.write_bytes(b"\xef\xbb\xbfnonsense: \xff\r\n")
    assert main(["get"]) == 0
    assert run("get", "-o", "json").code == 0
    key.unlink()
    assert run("get").code == 3


def test_init_writes_a_first_document_only(run: Run, key: Path) -> None:
    """`init` makes a valid document that explains itself, and never replaces one."""
    assert run("init", "dc1", "--yes").code == 3
    key.unlink()
    assert run("switch", "billing", "dc2", "--yes").code == 3
    assert run("init", "dc1", "dc2", "--yes").code == 0
    document = parse_document(key.read_bytes())
    assert document.route("any").backups == ("dc2",)
    key.unlink()
    assert run("init", "dc1", "--bare", "--yes").code == 0
    assert key.read_text() == "dc1\n"


def test_edit_writes_what_the_editor_saved(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What $EDITOR saves is checked, stamped and written."""
    monkeypatch.setenv("VISUAL", "sed -i s/money/gold/")
    assert run("edit", "--yes", "--by", "lin").code == 0
    assert "# gold" in key.read_text()
    assert "by: lin" in key.read_text()
    before = key.read_text()
    monkeypatch.setenv("VISUAL", "sed -i s/default/defualt/")
    result = run("edit", "--yes")
    assert (result.code, key.read_text()) == (3, before)
    kept = re.search("^Your text is kept: (.*)$", result.err, re.MULTILINE)
    assert kept is not None
    assert "defualt" in Path(kept[1]).read_text()
    monkeypatch.setenv("VISUAL", "false")
    assert run("edit", "--yes").code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["switch", "dc2"],
        ["switch"],
        ["shift", "billing"],
        ["shift", "billing", "dc1"],
        ["shift", "billing", "dc1=x"],
        ["shift", "billing", "dc1=-1"],
        ["shift", "billing", "dc1=1", "dc1=2"],
        ["shift", "dc1=1", "dc2=1"],
        ["ramp", "billing"],
        ["ramp", "billing", "--to", "dc2"],
        ["ramp", "billing", "--to", "dc2", "--over", "soon"],
        ["ramp", "billing", "--to", "dc2", "--over", "2h", "--pause"],
        ["ramp", "billing", "--pause", "--abort"],
        ["pin", "billing", "1001"],
        ["pin", "billing", "1001", "dc2", "--remove"],
        ["drill", "start", "dc1"],
        ["drill", "stop", "dc1", "--all"],
        ["mark", "dc1", "off"],
        ["switch", "billing", "dc2", "--wait", "3"],
        ["switch", "billing", "dc2", "--force", "everything"],
        ["init", "dc1", "dc2", "--bare"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_and_changes_nothing(run: Run, key: Path, arguments: list[str]) -> None:
    """Exit code 2, a sentence on stderr, nothing on stdout, nothing written."""
    result = run(*arguments, *(["--yes"] if arguments != ["drill"] else []))
    assert (result.code, result.out, key.read_text()) == (2, "", _TEXT)
    assert result.err


def test_no_source_is_wrong_configuration(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 78, and how to name one."""
    monkeypatch.delenv("DC_SIDECAR_SOURCE")
    result = run("switch", "billing", "dc2", "--yes")
    assert result.code == 78
    assert "--source" in result.err


def test_a_source_that_cannot_be_read_is_told_apart(run: Run, key: Path) -> None:
    """Exit code 6 where the config center does not answer."""
    key.unlink()
    key.mkdir()
    assert run("switch", "billing", "dc2", "--yes").code == 6


def test_a_drill_is_started_listed_and_stopped(run: Run, key: Path) -> None:
    """A drill is on at once, is in the list with its reason, and stopping the only one needs no name."""
    started = run("drill", "start", "dc1", "--for", "30m", "--app", "billing", "--reason", "Q4", "--yes")
    assert started.code == 0
    assert "billing: all jobs dc1 → dc2" in started.out
    assert "the drill of dc1 ends" in started.out
    (drill,) = run("drill", "list", "-o", "json").entries
    assert (drill["state"], drill["apps"], drill["reason"]) == ("running", ["billing"], "Q4")
    assert "running" in run("drill", "list").out
    assert run("drill", "stop", "dc2", "--yes").code == 3
    assert run("drill", "stop", "--yes").code == 0
    assert "drills" not in key.read_text()
    assert run("drill", "stop", "--yes").code == 3


def test_a_ramp_goes_through_all_its_verbs(run: Run, key: Path) -> None:
    """Start, pause, resume and finish, each written and each valid."""
    relaxed = ("--yes", "--hold-off", "0")
    assert run("ramp", "billing", "--to", "dc1", "--over", "2h", *relaxed).code == 3
    assert run("ramp", "billing", "--to", "dc2", "--over", "2h", "--steps", "8", "--start", "1h", *relaxed).code == 0
    assert 'duration: "2h"' in key.read_text()
    assert run("ramp", "billing", "--pause", *relaxed).code == 0
    assert "split: {dc1: 8, dc2: 0}" in key.read_text()
    assert run("ramp", "billing", "--resume", *relaxed).code == 0
    finished = run("ramp", "billing", "--finish", *relaxed)
    assert finished.code == 0
    assert "active: dc2" in key.read_text()
    assert run("ramp", "billing", "--abort", *relaxed).code == 3


@pytest.mark.parametrize(
    "verb",
    [
        ["switch"],
        ["shift"],
        ["ramp"],
        ["pin"],
        ["mark"],
        ["drain"],
        ["drill", "start"],
        ["drill", "stop"],
        ["edit"],
        ["put"],
        ["init"],
        ["rollback"],
        ["get"],
        ["drill", "list"],
    ],
)
def test_help_fits_a_narrow_terminal_and_has_an_example(run: Run, verb: list[str]) -> None:
    """A person who reads the help only finds an example to copy, on 80 columns."""
    result = run(*verb, "--help")
    assert result.code == 0
    assert f"  dc-sidecar {' '.join(verb)}" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_what_is_shown_fits_a_narrow_terminal(run: Run) -> None:
    """The words of an effect are broken at 80 columns; the document's own lines are as long as they are."""
    names = [f"an-application-with-a-long-name-{number}" for number in range(5)]
    result = run("switch", *names, "dc2", "--dry-run")
    words = result.out.partition("\nNow:")[2]
    assert "and 2 more" in words
    assert max(map(len, words.splitlines())) <= 80
