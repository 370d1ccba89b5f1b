"""`context`, and what commands take from one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import TEXT, Run
from tests.unit.client.conftest import Sidecar


@pytest.fixture
def file(tmp_path: Path, run: Run) -> Path:  # noqa: ARG001 - the folder of contexts is set before
    """Return the user's file of contexts, with one of production."""
    path = tmp_path / "config" / "dc-sidecar" / "contexts.yaml"
    path.parent.mkdir(parents=True)
    for name in ("staging", "prod"):
        (tmp_path / f"{name}.yaml").write_text(TEXT)
    path.write_text(
        f"# mine\nstaging: {{source: 'file:{tmp_path}/staging.yaml'}}\n"
        f"prod: {{source: 'file:{tmp_path}/prod.yaml', production: true, require-reason: true}}\n"
    )
    path.chmod(0o600)
    return path


def test_the_current_context_names_the_key(run: Run, file: Path, tmp_path: Path) -> None:
    """It is chosen once for all commands, named in prompts and JSON, and yields to whatever else names a key."""
    assert run("context", "use", "staging").code == 0
    assert (file.parent / "current-context").stat().st_mode & 0o777 == 0o600
    result = run("switch", "billing", "dc2", "--yes")
    assert result.code == 0
    assert result.out.startswith(f"Change of file:{tmp_path}/staging.yaml, context staging:\n")
    assert "billing: dc2" in (tmp_path / "staging.yaml").read_text()
    again = run("switch", "billing", "dc2", "--yes", "-o", "json").json
    assert (again["context"], again["written"]) == ("staging", False)
    other = tmp_path / "other.yaml"
    other.write_text(TEXT)
    assert ", context" not in run("switch", "billing", "dc2", "--yes", "--source", f"file:{other}").err
    assert run("context", "use", "--none").code == 0
    assert run("get").code == 78


def test_a_context_of_the_command_wins(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--context stands over the environment; beside --source it is wrong usage; DC_SIDECAR_CONTEXT is the current."""
    assert file.exists()
    monkeypatch.setenv("DC_SIDECAR_SOURCE", "file:/nowhere/else.yaml")
    assert run("get", "--context", "staging").out == TEXT
    both = run("get", "--context", "staging", "--source", "file:x")
    assert (both.code, "expected one of them" in both.err) == (2, True)
    monkeypatch.delenv("DC_SIDECAR_SOURCE")
    monkeypatch.setenv("DC_SIDECAR_CONTEXT", "stagin")
    unknown = run("get")
    assert (unknown.code, "there is no context stagin: did you mean staging?" in unknown.err) == (78, True)
    monkeypatch.setenv("DC_SIDECAR_CONTEXT", "staging")
    assert run("get").out == TEXT


def test_production_asks_for_its_name(run: Run, file: Path, tmp_path: Path) -> None:
    """--yes alone does not write to production, however the key was named; with --context it does."""
    assert file.exists()
    key = tmp_path / "prod.yaml"
    because = ("--yes", "--reason", "hot")
    for named in ((), ("--source", f"file:{key}")):
        run("context", "use", "prod")
        refused = run("switch", "billing", "dc2", *because, *named)
        assert (refused.code, key.read_text()) == (2, TEXT)
        assert "context prod is production" in refused.err
    assert run("switch", "billing", "dc2", "--yes", "--context", "prod").code == 3, "the context's rules hold"
    assert run("switch", "billing", "dc2", *because, "--context", "prod").code == 0
    assert "billing: dc2" in key.read_text()


def test_contexts_are_listed_shown_and_added(run: Run, file: Path) -> None:
    """* marks the current one; adding one keeps the file as it is, and a second of the name is refused."""
    run("context", "use", "prod")
    listed = run("context", "list").out.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["staging", listed[1].split()[1]], ["*", "prod"]]
    assert listed[2].endswith("production")
    before = file.read_text()
    words = ("--source", "nacos://n:8848/G/key", "--sidecar", "a:1", "--sidecar", "b:2", "--production")
    added = run(
        "context", "add", "eu", *words, "--set", "nacos-username=ops", "--set", "nacos-password-env=EU_PASSWORD"
    )
    assert added.code == 0, added.err
    assert file.read_text().startswith(before)
    assert file.stat().st_mode & 0o777 == 0o600
    shown = run("context", "show", "eu", "-o", "json").json
    assert shown == {
        "name": "eu",
        "current": False,
        "production": True,
        "source": "nacos://n:8848/G/key",
        "options": {"source": ["nacos://n:8848/G/key"], "sidecar": ["a:1", "b:2"], "nacos-username": ["ops"]},
        "secrets_from": {"nacos-password": "EU_PASSWORD"},
        "tls": {},
    }
    assert "nacos-password-env  EU_PASSWORD" in run("context", "show", "eu").out
    assert run("context", "add", "eu", "--source", "file:x").code == 78
    assert [entry["name"] for entry in run("context", "list", "-o", "json").entries] == ["staging", "prod", "eu"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: {nacos-password: hush}", "a secret has no place here"),
        ("a: {sorce: 'file:x'}", "no such option: did you mean source?"),
        ("a: {source: [x, y]}", "a.source: expected a text"),
        ("a: {production: perhaps}", "expected true or false"),
        ("a: dc1", "expected options"),
        ("- a", "expected contexts by name"),
        ("a: [", ":1:"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(run: Run, file: Path, text: str, found: str) -> None:
    """Exit code 78; a secret is not repeated."""
    file.write_text(text)
    result = run("context", "list")
    assert (result.code, found in result.err, "hush" in result.err) == (78, True, False)


def test_a_file_that_others_may_write_is_refused(run: Run, file: Path) -> None:
    """Who writes the file chooses what is changed."""
    file.chmod(0o620)
    result = run("context", "list")
    assert (result.code, "chmod 600" in result.err) == (78, True)


def test_secrets_come_from_their_places(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is not set is said, and nothing of a context goes to a key that it does not name."""
    file.write_text("eu: {source: 'nacos://127.0.0.1:1/G/key', nacos-username: ops, nacos-password-env: EU_PASSWORD}\n")
    run("context", "use", "eu")
    unset = run("get", "--timeout", "1s")
    assert (unset.code, "nacos-password-env names EU_PASSWORD, which is not set" in unset.err) == (78, True)
    monkeypatch.setenv("EU_PASSWORD", "hush")
    assert run("get", "--timeout", "1s").code == 6
    monkeypatch.delenv("EU_PASSWORD")
    assert run("get", "--timeout", "1s", "--source", "nacos://127.0.0.1:2/G/key").code == 6


def test_sidecars_come_from_the_context(run: Run, file: Path, sidecar: Sidecar) -> None:
    """`status` and `filter` ask those of the current context, or of --context."""
    sidecar.serve("default: dc1\n")
    file.write_text(f"eu: {{sidecar: ['{sidecar.address}']}}\nus: {{sidecar: ['127.0.0.1:1']}}\n")
    run("context", "use", "us")
    assert run("status", "--timeout", "20s").code == 6
    assert run("status", "--timeout", "20s", "--context", "eu").code == 0
    run("context", "use", "eu")
    assert run("filter", "x", "--candidates", "dc1=1", "--timeout", "20s").out.startswith("dc1")


@pytest.mark.parametrize(
    "words", [("use",), ("use", "a", "--none"), ("add", "a"), ("add", "a", "--set", "source")], ids=" ".join
)
def test_wrong_usage_writes_nothing(run: Run, file: Path, words: tuple[str, ...]) -> None:
    """Exit code 2, a sentence, and the file as it was."""
    before = file.read_text()
    result = run("context", *words)
    assert (result.code, file.read_text()) == (2, before)
    assert result.err
