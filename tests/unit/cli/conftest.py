"""Commands run in this process, on a file as the key."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar.cli.main import main
from tests.unit.client.conftest import sidecar as sidecar  # noqa: PLC0414 - a fixture of these tests too

TEXT = """\
# ours
default: {active: dc1, backups: [dc2]}
apps:
  billing: dc1  # money
"""


@dataclass(frozen=True)
class Result:
    """What a command printed and exited with."""

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
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command without variables of ours, and without a terminal."""
    for name in [*os.environ]:
        if name.startswith("DC_SIDECAR_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*arguments: str) -> Result:
        code = main(arguments)
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture
def key(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - variables are cleared before
    """Return the file that is the key, which every command finds in its environment."""
    path = tmp_path / "routing.yaml"
    monkeypatch.setenv("DC_SIDECAR_SOURCE", f"file:{path}")
    path.write_text(TEXT)
    return path


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Write a valid document to a file."""
    path = tmp_path / "document.yaml"
    path.write_text("default: {active: dc1, backups: [dc2]}\napps: {billing: dc2}\n")
    return path
