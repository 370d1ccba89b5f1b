"""`dc-sidecar elasticjob reshard`: what it refuses; tests/elasticjob reshards jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli.main import main
from tests.servers.process import free_port
from tests.unit.client.conftest import Sidecar
from tests.unit.client.conftest import sidecar as sidecar  # noqa: PLC0414 - a fixture of these tests too

RESHARD = ("elasticjob", "reshard", "--yes", "--registry")


def test_the_registry_center_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """Without one it is wrong usage, and a malformed one a wrong configuration."""
    assert main(["elasticjob", "reshard"]) == 2
    assert "--registry" in capsys.readouterr().err
    assert main([*RESHARD, "zk:2181"]) == 78
    assert "of ElasticJob, the path is its namespace" in capsys.readouterr().err


def test_an_unreadable_password_is_a_wrong_configuration(
    sidecar: Sidecar, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the file."""
    words = [*RESHARD, "zookeeper://127.0.0.1:1/billing", "--sidecar", sidecar.address]
    assert main([*words, "--digest-file", str(tmp_path / "none")]) == 78
    assert f"--digest-file: {tmp_path}/none" in capsys.readouterr().err


def test_a_registry_center_that_does_not_answer_is_an_exit_code(
    sidecar: Sidecar, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """6, with its address and without its password."""
    monkeypatch.setenv("DC_SIDECAR_ELASTICJOB_DIGEST", "jobs:s3cret")
    registry = f"zookeeper://127.0.0.1:{free_port()}/billing"
    assert main([*RESHARD, registry, "--sidecar", sidecar.address, "--timeout", "1s"]) == 6
    error = capsys.readouterr().err
    assert f"{registry} does not answer in 1 s" in error
    assert "s3cret" not in error
