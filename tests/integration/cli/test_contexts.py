"""A production context at a terminal."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli.commands import Terminal


def test_production_is_written_only_when_its_name_is_typed(tmp_path: Path) -> None:
    """The prompt names key and context; y is not the name, and nothing is written."""
    key = tmp_path / "routing.yaml"
    key.write_text("default: dc1\napps: {billing: dc1}\n")
    folder = tmp_path / "config" / "dc-sidecar"
    folder.mkdir(parents=True)
    (folder / "contexts.yaml").write_text(f"prod: {{source: 'file:{key}', production: true}}\n")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "DC_SIDECAR_CONTEXT": "prod"}
    for typed, to in (("y\n", "dc1"), ("prod\n", "dc2")):
        with Terminal("switch", "billing", "dc2", env=env) as terminal:
            terminal.until("context prod? This is production: type prod to write")
            terminal.type(typed)
            assert terminal.end() == 0
        assert f"billing: {to}" in key.read_text()


def test_top_follows_the_key_until_it_is_interrupted(tmp_path: Path) -> None:
    """The picture is drawn again as the document changes, and Ctrl-C ends it."""
    key = tmp_path / "routing.yaml"
    key.write_text("default: dc1\napps: {billing: dc1}\n")
    words = ("top", "--every", "200ms", "--source", f"file:{key}", "--sidecar", "127.0.0.1:1")
    with Terminal(*words, env={"LINES": "30"}) as terminal:
        terminal.until("billing")
        key.write_text("default: dc1\napps: {billing: dc1, reports: dc2}\n")
        terminal.until("reports")
        # The terminal of the test controls no process group: the signal that Ctrl-C would send.
        terminal.interrupt()
        assert terminal.end() == 130
