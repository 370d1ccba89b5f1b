"""`failback`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import TEXT, Run


def test_work_is_sent_back(run: Run, key: Path) -> None:
    """The time stands in the `failover` key, so that every sidecar sends the work back once."""
    key.write_text("default: {active: dc1, backups: [dc2], failover: {back: manual}}\n")
    assert run("failback", "--default", "--yes").code == 0
    assert "failed_back: " in key.read_text()


def test_without_a_failover_key_there_is_nothing_to_send_back(run: Run, key: Path) -> None:
    """Refused, as that work returns by itself; without an application it is wrong usage."""
    result = run("failback", "billing", "--yes")
    assert (result.code, key.read_text()) == (3, TEXT)
    assert "has no `failover` key" in result.err
    assert run("failback", "--yes").code == 2
