"""`filter`."""

from __future__ import annotations

from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar


def test_a_running_sidecar_decides(run: Run, sidecar: Sidecar) -> None:
    """The answer is readable, and is data with -o json."""
    sidecar.serve("default: {active: dc1, backups: [dc2]}\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    result = run("filter", "x", "--candidates", "dc1=1,dc2=1", *at)
    assert result.code == 0
    assert result.out.startswith("dc1  ACTIVE  1 of 2 candidates  revision ")
    assert result.out.endswith("\n  dc1-1\n")
    assert run("filter", "x", "--candidates", "dc2=1", "-o", "json", *at).json["reason"] == "FAILOVER"
