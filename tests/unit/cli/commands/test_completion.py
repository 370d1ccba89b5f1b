"""`completion`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(run: Run, shell: str) -> None:
    """The script asks dc-sidecar itself."""
    result = run("completion", shell)
    assert result.code == 0
    assert "_DC_SIDECAR_COMPLETE" in result.out


Complete = Callable[..., list[str]]


@pytest.fixture
def complete(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """Return what the shell is given for the last of some words."""
    key.write_text("default: dc1\napps: {billing: {active: dc2, jobs: {'1001': dc1, '7': dc3}}, reports: dc1}\n")

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_DC_SIDECAR_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(("dc-sidecar", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        result = run()
        monkeypatch.delenv("_DC_SIDECAR_COMPLETE")
        assert result.err == ""
        return [line.partition(",")[2] for line in result.out.splitlines() if line]

    return complete


def test_names_come_from_the_live_document(complete: Complete, run: Run) -> None:
    """Applications, datacenters, jobs of the application before, weights, revisions that were written."""
    assert complete("switch", "b") == ["billing"]
    assert complete("switch", "billing", "dc") == ["dc1", "dc2", "dc3"]
    assert complete("shift", "rep") == ["reports"]
    assert complete("shift", "billing", "dc3") == ["dc3="]
    assert complete("pin", "billing", "1") == ["1001"]
    assert complete("pin", "billing", "1001", "dc1") == ["dc1"]
    assert complete("ramp", "billing", "--to", "dc2") == ["dc2"]
    assert complete("mark", "dc3") == ["dc3"]
    assert complete("drill", "start", "dc1", "--app", "re") == ["reports"]
    assert complete("apps", "--datacenter", "dc2") == ["dc2"]
    assert complete("failback", "bil") == complete("filter", "bil") == complete("watch", "bil") == ["billing"]
    assert run("switch", "reports", "dc2", "--yes").code == 0
    listed = [entry["revision"] for entry in run("rollback", "--list", "-o", "json").entries]
    assert complete("rollback", listed[1][:2]) == [one for one in listed if one.startswith(listed[1][:2])]
    assert listed[1] in complete("diff", listed[1][:2])


def test_contexts_are_completed(complete: Complete, run: Run) -> None:
    """After `context use` and `--context`."""
    assert run("context", "add", "staging", "--source", "file:x").code == 0
    assert complete("context", "use", "st") == complete("get", "--context", "st") == ["staging"]


def test_what_cannot_be_read_completes_nothing(complete: Complete, key: Path) -> None:
    """No document, one that is not valid, a source that is away: no error in the middle of a line."""
    key.write_text("default: {activ: dc1}\n")
    assert complete("switch", "b") == []
    key.unlink()
    assert complete("switch", "b") == []
    assert complete("switch", "--source", "nacos://127.0.0.1:1/G/key", "b") == []
    assert complete("switch", "--source", "nonsense", "b") == []


def test_completion_loads_only_what_it_needs(key: Path) -> None:
    """The shell waits for it at each key: what asks sidecars, watches files or changes documents is not loaded."""
    unneeded = {"grpc", "sidecar.audit.journal", "asyncio", "watchdog", "sidecar.cli.change", "sidecar.editing.draft"}
    script = (
        "import os, sys\nfrom sidecar.cli import main\nmain([])\n"
        f"print(sorted({unneeded!r} & set(sys.modules)), file=sys.stderr)"
    )
    env = {
        **os.environ,
        "_DC_SIDECAR_COMPLETE": "bash_complete",
        "COMP_WORDS": "dc-sidecar switch b",
        "COMP_CWORD": "2",
        "DC_SIDECAR_SOURCE": f"file:{key}",
    }
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("plain,billing\n", "[]\n")
