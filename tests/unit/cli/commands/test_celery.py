"""`dc-sidecar celery move`: what it refuses; tests/celery moves tasks on real brokers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli.main import main
from tests.unit.client.conftest import Sidecar
from tests.unit.client.conftest import sidecar as sidecar  # noqa: PLC0414 - a fixture of these tests too

MOVE = ("celery", "move", "billing", "--from", "dc1", "--queue", "work", "--yes")


def test_a_broker_is_required(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file and a variable it is wrong usage; an unreadable file is a wrong configuration."""
    monkeypatch.delenv("DC_SIDECAR_CELERY_BROKER", raising=False)
    assert main([*MOVE]) == 2
    assert "pass --broker-file, or set DC_SIDECAR_CELERY_BROKER" in capsys.readouterr().err
    assert main([*MOVE, "--broker-file", str(tmp_path / "none")]) == 78
    assert f"--broker-file: {tmp_path}/none" in capsys.readouterr().err


def test_other_brokers_are_refused(
    sidecar: Sidecar, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only Redis and RabbitMQ can be moved on."""
    sidecar.serve("dc2")
    monkeypatch.setenv("DC_SIDECAR_CELERY_BROKER", "memory://")
    assert main([*MOVE, "--sidecar", sidecar.address]) == 78
    assert "broker: found memory, expected redis or amqp" in capsys.readouterr().err


def test_a_broker_that_does_not_answer_is_an_exit_code(
    sidecar: Sidecar, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """6, and the broker's address without its password."""
    sidecar.serve("dc2")
    file = tmp_path / "broker"
    file.write_text("redis://:s3cret@127.0.0.1:1/0")
    assert main([*MOVE, "--sidecar", sidecar.address, "--broker-file", str(file)]) == 6
    error = capsys.readouterr().err
    assert "broker redis://" in error
    assert "s3cret" not in error
