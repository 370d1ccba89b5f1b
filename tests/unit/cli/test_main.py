"""The group of commands: help, usage errors, and how a command ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import yaml

from sidecar.__main__ import main as process
from sidecar.cli.main import cli
from tests.unit.cli.conftest import TEXT, Run


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of each command, those of groups included."""
    found = []
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            words = (*path, name)
            found += _commands(command, words) if isinstance(command, click.Group) else []
            if not isinstance(command, click.Group) or command.invoke_without_command:
                found.append(words)
    return found


def test_version(run: Run) -> None:
    """--version prints name and version."""
    assert run("--version").out == "dc-sidecar 0.1.0\n"


@pytest.mark.parametrize("words", _commands(cli), ids=" ".join)
def test_help_fits_a_narrow_terminal_and_has_an_example(run: Run, words: tuple[str, ...]) -> None:
    """A person who reads only the help finds an example to copy, on 80 columns."""
    result = run(*words, "-h")
    assert result.code == 0
    assert f"  dc-sidecar {' '.join(words)}" in result.out.partition("Examples:")[2] or words == ("completion",)
    assert "Examples:" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_help_lists_the_commands(run: Run) -> None:
    """Each has a line of its own with what it does."""
    listed = run("-h").out.partition("Run:\n")[2].partition("\n\n  Examples:")[0]
    lines = [line for line in listed.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == [*dict.fromkeys(words[0] for words in _commands(cli))]
    assert all(len(line.split()) > 2 for line in lines)


def test_unknown_command_names_the_nearest(run: Run) -> None:
    """A misspelt command is a usage error that suggests what was probably meant."""
    result = run("chek")
    assert (result.code, result.out) == (2, "")
    assert "no such command 'chek': did you mean check?" in result.err


def test_an_argument_that_is_not_utf8_is_wrong_usage(run: Run, key: Path) -> None:
    """A terminal in another encoding gets a sentence, not a traceback, and nothing is written."""
    result = run("switch", "billing", "dc2", "--yes", "--reason", os.fsdecode(b"caf\xe9"))
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert "not UTF-8" in result.err


def test_serve_goes_round_click(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`serve` is the daemon's own; its help is the command line's."""
    monkeypatch.setattr(sys, "argv", ["dc-sidecar", "serve", "--grace", "10"])
    assert process() == 2
    assert "--grace: found '10'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["dc-sidecar", "serve", "--help"])
    assert process() == 0
    assert "--max-document-size SIZE" in capsys.readouterr().out


def test_closed_pipe_is_quiet() -> None:
    """A reader that has enough ends the command without a complaint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as complaints:
        assert complaints.read() == ""
    assert process.wait() == 0


def test_no_color(document: Path) -> None:
    """NO_COLOR takes the colours out where they would be."""
    document.write_text("default: {split: {dc1: 80, dc2: 10}}")
    command = [sys.executable, "-m", "sidecar", "check", str(document)]
    coloured = subprocess.run(command, capture_output=True, env={**os.environ, "FORCE_COLOR": "1"}, check=True)
    plain = subprocess.run(command, capture_output=True, env={**os.environ, "NO_COLOR": "1"}, check=True)
    assert b"\x1b" not in plain.stdout
    assert b"warning" in coloured.stdout


@pytest.mark.parametrize("command", ["check", "explain", "get", "schema", "history", "config"])
def test_what_asks_no_sidecar_loads_no_grpc(command: str) -> None:
    """Most of the time that a command takes to start is that of importing gRPC."""
    program = f"import sys, sidecar.cli.commands.{command}; sys.exit('grpc' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_times_are_in_the_zone_of_the_machine_or_in_utc(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With date and offset, one way in every command; --utc stands before or behind the command."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    ramp = 'default: {ramp: {from: dc1, to: dc2, start: "2026-11-22T10:00:00Z", duration: 2h}}\n'
    document.write_text(ramp)
    words = ("explain", str(document), "--app", "x", "--candidates", "dc1=1")
    assert "from 2026-11-22T18:00:00+08:00 over 2h" in run(*words).out
    for utc in ((*words, "--utc"), ("--utc", *words)):
        assert "from 2026-11-22T10:00:00Z over 2h" in run(*utc).out
    assert "from 2026-11-22T18:00:00+08:00 over 2h" in run(*words).out
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_the_help_has_the_commands_in_sections(run: Run) -> None:
    """In the order of the work; no command stands in two."""
    lines = run("--help").out.splitlines()
    sections = ["Run:", "See:", "Change:", "Go back:", "Check before:", "Schedulers:", "Set up:"]
    assert [line for line in lines if line in sections] == sections
    names = cli.list_commands(click.Context(cli))
    assert len(names) == len({*names})


def test_data_is_printed_as_yaml_too(run: Run, key: Path) -> None:
    """`-o yaml` is the data of `-o json`; what looks like something else is quoted."""
    for words in (("get",), ("apps",), ("config", "show"), ("context", "list"), ("rollback", "--list")):
        if words[0] == "rollback":
            assert run("switch", "billing", "dc2", "--yes").code == 0
        as_json = json.loads(run(*words, "-o", "json").out)
        assert yaml.safe_load(run(*words, "-o", "yaml").out) == as_json, words
    key.write_text("default: 'no'\napps: {'on': '1e3'}\n")
    assert "app: 'on'" in run("apps", "-o", "yaml").out
