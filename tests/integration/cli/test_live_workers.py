"""Commands that ask a running sidecar how many live workers the target has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import SidecarProcess, a_request
from tests.integration.cli.commands import run
from tests.servers.process import free_port
from tests.waiting import eventually

_UNKNOWN = "live workers in dc2 unknown"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file that is the key."""
    path = tmp_path / "routing.yaml"
    path.write_text("default: dc1\napps:\n  billing: dc1\n")
    return path


@pytest.fixture
def sidecar(tmp_path: Path, key: Path) -> Iterator[SidecarProcess]:
    """Yield a sidecar that serves the key."""
    with SidecarProcess(f"file:{key}", folder=tmp_path) as running:
        yield running


def _switch(key: Path, address: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a switch of billing to dc2 that the sidecar at an address is asked about."""
    source = ("--source", f"file:{key}", "--hold-off", "0")
    return run("switch", "billing", "dc2", *more, *source, env={"DC_SIDECAR_ADDRESS": address})


def _told(key: Path, address: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Return the first such switch that the sidecar answered in time, on a machine that is busy with other tests."""

    def answered() -> list[subprocess.CompletedProcess[str]]:
        done = _switch(key, address, *more)
        return [] if _UNKNOWN in " ".join(done.stdout.split()) else [done]

    return eventually(answered, "an answer of the sidecar", within=60)[0]


def test_a_switch_to_where_no_worker_was_seen_is_refused(key: Path, sidecar: SidecarProcess) -> None:
    """None in the target is refused with what would mend it; some are told, and believed once several runs do."""
    sidecar.filter(a_request("billing", candidates={"dc1": 2}, dispatch=True))
    refused = _told(key, sidecar.address, "--dry-run")
    assert refused.returncode == 3
    said = " ".join(refused.stderr.split())
    assert "workers: dc2 has no live worker of billing, expected at least 1 (a sidecar saw this" in said
    assert "start more there, or count them with --candidates" in said
    assert "--force workers" in said
    assert _switch(key, sidecar.address, "--dry-run", "--candidates", "dc2=1").returncode == 0
    shown = a_request("billing", candidates={"dc1": 2, "dc2": 3}, dispatch=True)
    sidecar.filter(shown)
    assert _told(key, sidecar.address, "--dry-run").returncode == 3

    def believed() -> bool:
        sidecar.filter(shown)
        return any(each.datacenter == "dc2" and each.fewest for each in sidecar.client.route("billing").workers)

    eventually(believed, "evidence of workers in dc2")
    done = _told(key, sidecar.address, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "live workers: dc2 3, seen by a sidecar" in " ".join(done.stdout.split())


def test_the_command_goes_on_where_nobody_knows(key: Path, sidecar: SidecarProcess) -> None:
    """Where nobody asked the sidecar about the application, and where it is away, the number is said to be unknown."""
    for address in (sidecar.address, f"127.0.0.1:{free_port()}"):
        done = _switch(key, address, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert f"{_UNKNOWN}: count them with --candidates." in " ".join(done.stdout.split())


def test_get_route_tells_the_workers_that_were_seen(sidecar: SidecarProcess) -> None:
    """With their time, for the application asked about; none for the default route, or where nobody asked."""
    sidecar.filter(a_request("billing", candidates={"dc1": 2, "dc2": 3}, dispatch=True))
    route = sidecar.client.route("billing")
    assert {entry.datacenter: entry.count for entry in route.workers} == {"dc1": 2, "dc2": 3}
    assert route.workers_seen_at_ms > 0
    for app in ("", "reports"):
        route = sidecar.client.route(app)
        assert not route.workers
        assert route.workers_seen_at_ms == 0


def test_the_sidecar_of_another_key_is_not_believed(key: Path, sidecar: SidecarProcess, tmp_path: Path) -> None:
    """What a sidecar of another key was told does not vouch for the target: the number is not known."""
    sidecar.filter(a_request("billing", candidates={"dc1": 2, "dc2": 3}, dispatch=True))
    assert "live workers: dc2 3" in " ".join(_told(key, sidecar.address, "--dry-run").stdout.split())
    other = tmp_path / "other.yaml"
    other.write_text("default: dc1\napps: {billing: dc1}\n")
    assert _UNKNOWN in " ".join(_switch(other, sidecar.address, "--dry-run").stdout.split())
