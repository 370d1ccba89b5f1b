"""`dc-sidecar powerjob retry`, against a PowerJob that answers as a test says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cli.main import main
from sidecar.powerjob.model import InstanceStatus
from tests.unit.client.conftest import Sidecar
from tests.unit.client.conftest import sidecar as sidecar  # noqa: PLC0414 - a fixture of these tests too
from tests.unit.powerjob.fake import NO_WORKER, FakePowerJob


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePowerJob]:
    """Run a PowerJob that asks for a password; name it in the environment."""
    with FakePowerJob("s3cret") as running:
        running.instance(1, InstanceStatus.FAILED, NO_WORKER)
        running.instance(2, InstanceStatus.FAILED, NO_WORKER, job=8)
        running.jobs[8]["status"] = 2
        monkeypatch.setenv("DC_SIDECAR_POWERJOB_SERVER", running.url)
        monkeypatch.setenv("DC_SIDECAR_POWERJOB_PASSWORD", "s3cret")
        yield running


RETRY = ("powerjob", "retry", "billing", "--since", "1h")


def test_a_dry_run_only_shows(fake: FakePowerJob, capsys: pytest.CaptureFixture[str]) -> None:
    """What would be done about which run, and what would be left, and why."""
    assert main([*RETRY, "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [["RUN", "JOB"], ["1", "1"], ["2", "8"]]
    assert "its job is disabled" in out
    assert "nothing was moved" in err
    assert fake.named("retryInstance") == 0


def test_it_retries_and_finds_nothing_the_second_time(fake: FakePowerJob, capsys: pytest.CaptureFixture[str]) -> None:
    """As data, what was found and what came of it."""
    assert main([*RETRY, "--yes", "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(step["instance"], step["action"]) for step in report["found"]] == [(1, "retry"), (2, "leave")]
    assert report["outcomes"] == [{"instance": 1, "done": True, "words": "retried"}]
    assert main([*RETRY, "--yes"]) == 0
    assert "Nothing to do." in capsys.readouterr().err
    assert fake.named("retryInstance") == 1


def test_what_could_not_be_moved_is_an_exit_code(fake: FakePowerJob, capsys: pytest.CaptureFixture[str]) -> None:
    """5, and the reason."""
    fake.retried[1] = [(InstanceStatus.FAILED, NO_WORKER)]
    assert main([*RETRY, "--yes"]) == 5
    assert "still no worker" in capsys.readouterr().err


def test_without_a_terminal_it_must_be_told_to(fake: FakePowerJob, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is moved because nobody said no."""
    assert main([*RETRY]) == 2
    assert "--yes" in capsys.readouterr().err
    assert fake.named("retryInstance") == 0


def test_a_wrong_password_is_told_and_never_shown(
    fake: FakePowerJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file goes before the variable."""
    (tmp_path / "password").write_text("wrong-one\n")
    assert main([*RETRY, "--yes", "--password-file", str(tmp_path / "password")]) == 3
    out, err = capsys.readouterr()
    assert "INCORRECT_PASSWORD" in err
    assert "wrong-one" not in out + err
    assert main([*RETRY, "--yes", "--password-file", str(tmp_path / "none")]) == 78
    assert fake.named("retryInstance") == 0


def test_nobody_there_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """6, and which address was asked."""
    monkeypatch.setenv("DC_SIDECAR_POWERJOB_SERVER", "http://127.0.0.1:1")
    assert main([*RETRY, "--yes"]) == 6
    assert "http://127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_what_runs_goes_where_the_sidecar_says(
    fake: FakePowerJob, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    """A running sidecar is asked for each run; what is in the right place stays."""
    sidecar.serve("default: dc2")
    fake.worker("10.1.0.1:1", "dc1")
    fake.worker("10.2.0.1:1", "dc2")
    fake.instance(3, InstanceStatus.RUNNING, taskTrackerAddress="10.1.0.1:1")
    fake.instance(4, InstanceStatus.RUNNING, taskTrackerAddress="10.2.0.1:1")
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    assert main([*RETRY, "--running", "--yes", *at]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines()[-1] == "1 retried, 1 stopped and retried"
    assert (fake.named("stopInstance"), fake.instances[4]["status"]) == (1, InstanceStatus.RUNNING)
    sidecar.end()
    assert main([*RETRY, "--running", "--yes", *at[:2], "--timeout", "1s"]) == 6
