"""`completion`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli.completion.answer import completed
from tests.unit.cli.conftest import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(run: Run, shell: str) -> None:
    """The script asks dc-sidecar itself."""
    result = run("completion", shell)
    assert result.code == 0
    assert "_DC_SIDECAR_COMPLETE" in result.out


Complete = Callable[..., list[str]]


@pytest.fixture(params=["click", "without click"])
def complete(request: pytest.FixtureRequest, run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """Return what the shell is given for the last of some words, by click or without it where that is possible."""
    key.write_text("default: dc1\napps: {billing: {active: dc2, jobs: {'1001': dc1, '7': dc3}}, reports: dc1}\n")

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_DC_SIDECAR_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(("dc-sidecar", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        out = completed(os.environ) if request.param == "without click" else None
        if out is None:
            result = run()
            assert result.err == ""
            out = result.out
        monkeypatch.delenv("_DC_SIDECAR_COMPLETE")
        return [line.partition(",")[2] for line in out.splitlines() if line]

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


LINES = [
    "switch ",
    "switch billing d",
    "switch --reason x b",
    "switch --utc -y --reason=x --namespace=b b",
    "shift b",
    "shift billing dc1=1 d",
    "shift dc1=1 d",
    "ramp --to ",
    "ramp --to dc1 --from d",
    "pin billing ",
    "pin billing 7 ",
    "pin unknown ",
    "mark ",
    "drill start ",
    "drill start dc1 --app ",
    "filter b",
    "render httproute ",
    "apps --datacenter dc",
]
LEFT_TO_CLICK = [
    "",
    "swi",
    "drill ",
    "nonsense ",
    "serve ",
    "switch --",
    "switch --to=b",
    "switch --wait b",
    "switch --unknown x b",
    "switch -- b",
    "switch 'b",
    "switch --context ",
    "mark dc1 ",
    "mark dc1 up more ",
    "context use ",
    "rollback ",
    "active --help ",
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("typed", [*LINES, *LEFT_TO_CLICK])
def test_a_line_without_click_is_answered_as_click_would(
    run: Run, key: Path, monkeypatch: pytest.MonkeyPatch, shell: str, typed: str
) -> None:
    """The same names in the same form; what the table does not know is left to click."""
    key.write_text("default: dc1\napps: {billing: {active: dc2, jobs: {'1001': dc1, '7': dc3}}, 'b:c': dc1}\n")
    words = typed.split()
    monkeypatch.setenv("_DC_SIDECAR_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", f"dc-sidecar {typed}")
    last = "" if typed.endswith(" ") or not words else words[-1]
    monkeypatch.setenv("COMP_CWORD", last if shell == "fish" else str(len(words) + (not last)))
    answer = completed(os.environ)
    if typed in LEFT_TO_CLICK:
        assert answer is None
    else:
        assert answer is not None
        assert f"{answer}\n" == run().out


def test_other_shells_are_left_to_click(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it exists
    """As the request for a script, and a request without the words."""
    monkeypatch.setenv("COMP_WORDS", "dc-sidecar switch ")
    monkeypatch.setenv("COMP_CWORD", "2")
    for request in ("bash_source", "powershell_complete", ""):
        monkeypatch.setenv("_DC_SIDECAR_COMPLETE", request)
        assert completed(os.environ) is None
    monkeypatch.setenv("_DC_SIDECAR_COMPLETE", "bash_complete")
    for place in ("", "0", "x"):
        monkeypatch.setenv("COMP_CWORD", place)
        assert completed(os.environ) is None


def test_the_key_is_that_of_the_command(complete: Complete, key: Path, run: Run, tmp_path: Path) -> None:
    """By --source, --config, --context and the options of the source, as in the command itself."""
    other = tmp_path / "other.yaml"
    other.write_text("apps: {other: dc9}\ndefault: dc9\n")
    file = tmp_path / "config.yaml"
    file.write_text(f"source: file:{other}\n")
    assert run("context", "add", "staging", "--source", f"file:{other}").code == 0
    assert complete("switch", "--source", f"file:{other}", "") == ["other", "dc9"]
    assert complete("switch", f"--source=file:{other}", "--nacos-tls", "--no-zookeeper-tls", "o") == ["other"]
    assert complete("switch", "--context", "staging", "o") == ["other"]
    assert complete("switch", "--context", "staging", "--source", f"file:{key}", "b") == []
    assert complete("switch", "--config", str(file), "b") == ["billing"], "the environment names the key"
    assert complete("switch", "--config", str(tmp_path / "missing.yaml"), "b") == []


NAMES_NEED = """
    sidecar sidecar.__main__ sidecar.cli sidecar.cli.completion sidecar.cli.completion.answer
    sidecar.cli.completion.line sidecar.cli.completion.names sidecar.cli.completion.table sidecar.cli.options
    sidecar.cli.options.contexts sidecar.cli.options.layers sidecar.config sidecar.config.hosts sidecar.config.kinds
    sidecar.config.layers sidecar.config.masking sidecar.config.option sidecar.config.options
    sidecar.config.source_options sidecar.errors sidecar.footprint sidecar.routing sidecar.routing.scalars
    sidecar.secret_file sidecar.sources sidecar.sources.base sidecar.sources.file sidecar.sources.file_path
    sidecar.trust sidecar.trust.app_signers sidecar.trust.limit_rules sidecar.yaml_reader
""".split()  # noqa: SIM905 - a list of so many takes a page
FOREIGN = {"click", "grpc", "asyncio", "watchdog", "argparse", "difflib", "ssl", "http", "cryptography"}


def test_completing_a_name_loads_only_what_it_needs(key: Path) -> None:
    """The shell waits for it at each key: modules are what takes its time (`python -m bench.completion`)."""
    script = (
        "import sys\nfrom sidecar.__main__ import main\nsys.argv[1:] = []\nmain()\n"
        "print(*(name for name in sys.modules if name.startswith('sidecar')), file=sys.stderr)\n"
        f"print(sorted({FOREIGN!r} & set(sys.modules)), file=sys.stderr)"
    )
    env = {
        **os.environ,
        "_DC_SIDECAR_COMPLETE": "bash_complete",
        "COMP_WORDS": "dc-sidecar switch b",
        "COMP_CWORD": "2",
        "DC_SIDECAR_SOURCE": f"file:{key}",
    }
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    ours, foreign = done.stderr.splitlines()
    assert done.stdout == "plain,billing\n"
    assert sorted(ours.split()) == sorted(NAMES_NEED)
    assert foreign == "[]"
