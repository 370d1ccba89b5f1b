"""`switch`, and with it what every change shows, writes and refuses."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sidecar import yaml_reader as reader
from sidecar.cli import change
from sidecar.footprint import Footprint
from sidecar.routing.document import revision_of
from sidecar.yaml_reader import Checkpoint, Tree
from tests.unit.cli.conftest import TEXT, Run


def test_a_switch_is_shown_and_written(run: Run, key: Path) -> None:
    """The difference and the effect are data on stdout, messages are on stderr; comments stay."""
    result = run("switch", "billing", "dc2", "--yes", "--by", "lin", "--reason", "hot")
    assert result.code == 0
    assert re.search(r"^-  billing: dc1  # money$\n^\+  billing: dc2  # money$", result.out, re.MULTILINE)
    assert "billing: all jobs dc1 → dc2" in result.out
    assert result.err == f"Written to file:{key}: revision {revision_of(key.read_bytes())}.\n"
    assert re.sub(r"at: \S+,", "at: …,", key.read_text()) == TEXT.replace(
        "default", "meta: {by: lin, at: …, reason: hot}\ndefault"
    ).replace("dc1  #", "dc2  #")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        pytest.param(TEXT, {"yaml": 2}, id="YAML"),
        pytest.param('{"default": "dc1", "apps": {"billing": "dc1"}}\n', {"json": 2, "yaml": 2}, id="JSON"),
    ],
)
def test_each_text_is_parsed_once(
    run: Run, key: Path, monkeypatch: pytest.MonkeyPatch, text: str, passes: dict[str, int]
) -> None:
    """One pass over the current text and one over the new one, for all of edit, places, validity and warnings."""
    key.write_text(text)
    counted: Counter[str] = Counter()
    loader, read_json = reader._Loader, reader._read_json

    def counting_loader(stream: str) -> object:
        counted["yaml"] += 1
        return loader(stream)

    def counting_json(stream: str, checkpoint: Checkpoint, footprint: Footprint) -> Tree:
        tree = read_json(stream, checkpoint, footprint)
        counted["json"] += 1
        return tree

    monkeypatch.setattr(reader, "_Loader", counting_loader)
    monkeypatch.setattr(reader, "_read_json", counting_json)
    assert run("switch", "billing", "dc2", "--yes").code == 0
    assert counted == passes


def test_a_dry_run_writes_nothing(run: Run, key: Path) -> None:
    """`--dry-run` shows the same and stops there."""
    result = run("switch", "billing", "dc2", "--dry-run")
    assert (result.code, key.read_text()) == (0, TEXT)
    assert "billing: all jobs dc1 → dc2" in result.out
    assert result.err == "Dry run: nothing was written.\n"


def test_an_application_that_is_not_known_needs_new(run: Run, key: Path) -> None:
    """A typo writes nothing and offers the nearest name; with --new the application gets a route."""
    refused = run("switch", "biling", "dc2", "--yes")
    assert (refused.code, refused.out, key.read_text()) == (3, "", TEXT)
    assert "the document names no application biling: did you mean billing?" in refused.err
    assert "--new" in refused.err
    assert run("switch", "biling", "dc2", "--yes", "--new").code == 0
    assert "biling: dc2" in key.read_text()


def test_a_change_names_its_target(run: Run, key: Path) -> None:
    """Above the difference, in the confirmation and in JSON stands which key is changed."""
    result = run("switch", "billing", "dc2", "--yes")
    assert result.out.startswith(f"Change of file:{key}:\n--- revision")
    assert result.err.startswith(f"Written to file:{key}: revision ")
    back = run("switch", "billing", "dc1", "--yes", "--hold-off", "0", "-o", "json")
    assert back.json["source"] == f"file:{key}"
    assert (back.json["namespace"], back.json["context"]) == (None, None)


def test_without_a_terminal_or_yes_nothing_is_written(run: Run, key: Path) -> None:
    """Nobody to ask is wrong usage, reported at once, not a prompt that hangs."""
    result = run("switch", "billing", "dc2")
    assert (result.code, key.read_text()) == (2, TEXT)
    assert "pass --yes" in result.err


def test_a_rule_refuses_and_names_itself(run: Run, key: Path) -> None:
    """Exit code 3, the rule, what would satisfy it, and how to force it; forced, it is done and shown as such."""
    result = run("switch", "billing", "dc2", "--yes", "--candidates", "dc1=3")
    assert (result.code, key.read_text()) == (3, TEXT)
    assert "workers: dc2 has no live worker, expected at least 1: start more there" in result.err
    assert "--force workers" in result.err
    forced = run("switch", "billing", "dc2", "--yes", "--candidates", "dc1=3", "--force", "workers")
    assert forced.code == 0
    assert "Forced despite workers" in forced.out
    assert "billing: dc2" in key.read_text()


def test_the_configuration_sets_the_rules(run: Run, key: Path, tmp_path: Path) -> None:
    """Rules come from the --config file, which `serve` reads too, and flags win over it."""
    assert key.exists()
    config = tmp_path / "sidecar.yaml"
    config.write_text("require-reason: true\nrequire-workers: 2\nhold-off: 1h\ngrace: 5s\n")
    result = run("switch", "billing", "dc2", "--yes", "--config", str(config), "--candidates", "dc2=1")
    assert result.code == 3
    assert "reason: " in result.err
    assert "workers: dc2 has 1 live worker, expected at least 2" in result.err
    config_flags = ("--config", str(config), "--no-require-reason", "--require-workers", "1")
    assert run("switch", "billing", "dc2", "--yes", *config_flags, "--candidates", "dc2=1").code == 0
    held = run("switch", "billing", "dc3", "--yes", *config_flags, "--candidates", "dc3=1")
    assert held.code == 3
    assert "hold-off: the last change" in held.err
    assert "dc-sidecar rollback" in held.err


def test_undoing_the_last_change_is_never_held_off(run: Run, key: Path) -> None:
    """The way back needs no waiting, by the same verb or by `rollback`; any other change does."""
    assert run("switch", "billing", "dc2", "--yes", "--hold-off", "1h").code == 0
    assert run("switch", "billing", "dc3", "--yes", "--hold-off", "1h").code == 3
    back = run("switch", "billing", "dc1", "--yes", "--hold-off", "1h")
    assert back.code == 0, back.err
    assert "billing: dc1" in key.read_text()
    assert run("rollback", "--yes", "--hold-off", "1h").code == 0
    assert "billing: dc2" in key.read_text()


def test_where_it_is_already_is_no_change(run: Run, key: Path) -> None:
    """Exit code 0 and nothing written, also within the hold-off and without a required reason; --force writes."""
    result = run("switch", "billing", "dc1", "--yes", "--require-reason")
    assert (result.code, result.out, key.read_text()) == (0, "", TEXT)
    assert result.err == f"No change: already in effect in file:{key}.\n"
    assert run("switch", "billing", "dc1", "--yes", "--force", "same").code == 0
    assert "meta: {by: " in key.read_text()


def test_no_source_is_wrong_configuration(run: Run) -> None:
    """Exit code 78, and how to name one."""
    result = run("switch", "billing", "dc2", "--yes")
    assert result.code == 78
    assert "--source" in result.err


def test_a_source_that_cannot_be_read_is_told_apart(run: Run, key: Path) -> None:
    """Exit code 6 where the config center does not answer."""
    key.unlink()
    key.mkdir()
    assert run("switch", "billing", "dc2", "--yes").code == 6


def test_what_is_shown_fits_a_narrow_terminal(run: Run, key: Path) -> None:
    """The words of an effect are broken at 80 columns; the document's own lines are as long as they are."""
    assert key.exists()
    names = [f"an-application-with-a-long-name-{number}" for number in range(5)]
    result = run("switch", *names, "dc2", "--new", "--dry-run")
    words = result.out.partition("\nNow:")[2]
    assert "and 2 more" in words
    assert max(map(len, words.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [["switch", "dc2"], ["switch"], ["switch", "billing", "dc2", "--force", "everything"]],
    ids=" ".join,
)
def test_wrong_usage_changes_nothing(run: Run, key: Path, arguments: list[str]) -> None:
    """Exit code 2, a sentence on stderr, nothing on stdout, nothing written."""
    result = run(*arguments, "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert result.err


class TestWaiting:
    """`--wait`: what can be checked is checked before anything is written; what fails afterwards is exit code 5."""

    def test_for_nobody_is_wrong_usage(self, run: Run, key: Path) -> None:
        """It must be said which sidecars are waited for."""
        result = run("switch", "billing", "dc2", "--yes", "--wait", "3")
        assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
        assert "--sidecar" in result.err

    @pytest.mark.parametrize("content", ["", "# none yet\n\n", None], ids=["empty", "comments", "missing"])
    def test_for_a_file_without_sidecars_writes_nothing(
        self, run: Run, key: Path, tmp_path: Path, content: str | None
    ) -> None:
        """A file that names no sidecar is wrong configuration, found before the write."""
        fleet = tmp_path / "fleet"
        if content is not None:
            fleet.write_text(content)
        result = run("switch", "billing", "dc2", "--yes", "--wait", "1", "--sidecar", f"@{fleet}")
        assert (result.code, key.read_text()) == (78, TEXT)
        assert f"--sidecar @{fleet}: " in result.err
        assert "expected one address per line" in result.err or "cannot be read" in result.err

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--sidecar", "127.0.0.1:1", "--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem: cannot be read"),
            (["--sidecar", "127.0.0.1"], "expected host:port"),
            (["--sidecar", "unix:/nowhere/sock", "--tls"], "TLS on Unix sockets"),
        ],
    )
    def test_by_a_connection_that_cannot_be_opened_writes_nothing(
        self, run: Run, key: Path, flags: list[str], message: str
    ) -> None:
        """Addresses and certificates are tried before the write, also where no live workers are asked for."""
        result = run("switch", "billing", "dc2", "--yes", "--candidates", "dc2=1", "--wait", "1", *flags)
        assert (result.code, key.read_text()) == (78, TEXT)
        assert message in result.err

    @pytest.mark.parametrize("output", ["text", "json"])
    def test_that_fails_after_the_write_says_that_it_is_written(
        self, run: Run, key: Path, monkeypatch: pytest.MonkeyPatch, output: str
    ) -> None:
        """Whatever happens then, the exit code is 5, and JSON says so too."""

        def break_down(*_: object) -> None:
            raise OSError("no more sockets")

        monkeypatch.setattr(change, "wait_for_revision", break_down)
        waiting = ("--wait", "1", "--sidecar", "127.0.0.1:1", "-o", output)
        result = run("switch", "billing", "dc2", "--yes", "--candidates", "dc2=1", *waiting)
        assert result.code == 5
        assert "billing: dc2" in key.read_text()
        assert "Not confirmed: no more sockets" in result.err
        assert "The document is written" in result.err
        if output == "json":
            assert (result.json["written"], result.json["error"]) == (True, "no more sockets")


def test_a_change_of_three_hundred_applications_is_summarised(run: Run, key: Path) -> None:
    """The beginning of the difference and how much there is; the effect in a few lines; all of it with -o json."""
    key.write_text("default: dc1\napps:\n" + "".join(f"  app-{n}: dc1\n" for n in range(300)))
    result = run("switch", "--all", "dc2", "--dry-run")
    assert len(result.out.splitlines()) < 100
    assert "more lines; 302 lines are new or changed (all with -o json)" in result.out
    assert "and 298 more: all jobs dc1 → dc2" in " ".join(result.out.split())
    assert len(run("switch", "--all", "dc2", "--dry-run", "-o", "json").json["difference"]) > 600
