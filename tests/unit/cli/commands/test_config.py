"""`config show`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


def test_config_show_says_what_is_off(run: Run) -> None:
    """On stderr, each with what that means; what is configured is not among it."""
    result = run("config", "show", "--max-change", "apps=5")
    assert "Off: --policy: everybody who can connect may make every call" in result.err
    assert "Off: --allowed-signers: everybody who can write the key may change the routes" in result.err
    assert "Off: --max-change" not in result.err
    assert "Off:" not in result.out


def test_config_show_prints_values_and_where_from(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option is a line with its value and its layer; a secret is only said to be set."""
    file = tmp_path / "sidecar.yaml"
    file.write_text("max-streams: 20\n")
    monkeypatch.setenv("DC_SIDECAR_GRACE", "3s")
    monkeypatch.setenv("DC_SIDECAR_NACOS_PASSWORD", "s3cret")
    result = run("config", "show", "--config", str(file), "--listen", "a:1", "--listen", "b:2")
    assert result.code == 0
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.out.splitlines()}
    assert rows["max-streams"].split() == ["20", f"{file}:1"]
    assert rows["grace"].split() == ["3s", "DC_SIDECAR_GRACE"]
    assert rows["listen"].split("  ")[0] == "a:1, b:2"
    assert rows["nacos-password"].split() == ["(set)", "DC_SIDECAR_NACOS_PASSWORD"]
    assert "s3cret" not in result.out
    values = {value["name"]: value for value in run("config", "show", "-o", "json").entries}
    assert values["grace"] == {"name": "grace", "value": "3s", "layer": "environment", "origin": "DC_SIDECAR_GRACE"}
    assert values["nacos-password"]["value"] == "(set)"


def test_config_show_refuses_what_serve_would(run: Run) -> None:
    """A wrong flag ends with 2, in the words of `serve`."""
    result = run("config", "show", "--grace", "10")
    assert result.code == 2
    assert result.err == "Error: --grace: found '10', expected a duration such as 500ms, 10s or 1m30s\n"
