"""Health checks of a real sidecar: the datacenter whose gateway dies loses its jobs, and gets them back."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import Caller, SidecarProcess
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

WITHIN = 15.0


@pytest.fixture
def port() -> int:
    """Return the port of dc1's gateway."""
    return free_port()


@pytest.fixture
def document(tmp_path: Path, port: int) -> Path:
    """Return a document that sends work to dc1 while its gateway takes connections."""
    path = tmp_path / "routing.yaml"
    path.write_text(
        "datacenters:\n"
        f"  dc1: {{probes: [{{tcp: '{LOOPBACK}:{port}'}}], interval: 1s, fall: 2, rise: 1}}\n"
        "  dc2: {}\n"
        "default: {active: dc1, backups: [dc2]}\n"
    )
    return path


def test_a_datacenter_that_dies_is_left_and_returned_to(document: Path, port: int, tmp_path: Path) -> None:
    """No call fails on the way there and back; the answer says FAILOVER, the log and the status say why."""
    gateway = socket.create_server((LOOPBACK, port))
    with (
        SidecarProcess(f"file:{document}", "--probe-hosts", LOOPBACK, folder=tmp_path) as sidecar,
        Caller(sidecar.address) as caller,
    ):
        caller.until(lambda answer: answer.datacenter == "dc1", "answers from dc1")
        generation = sidecar.status().generation
        gateway.close()
        caller.until(lambda answer: answer.datacenter == "dc2", "answers from dc2", within=WITHIN)
        assert sidecar.filter().reason == pb.REASON_FAILOVER
        assert sidecar.client.route("billing").unavailable == ["dc1"]
        assert sidecar.status().generation == generation + 1
        assert f"out of service (probes: tcp {LOOPBACK}:{port}: connection refused, since " in sidecar.log_text()
        with socket.create_server((LOOPBACK, port)):
            caller.until(lambda answer: answer.datacenter == "dc1", "answers from dc1", within=WITHIN)
        caller.stop()
        caller.no_failures()
        assert caller.datacenters() == ["dc1", "dc2", "dc1"]


def test_nobody_is_probed_without_leave(document: Path, port: int, tmp_path: Path) -> None:
    """By default no probe is made, the datacenter counts as well, and status and log say which flag would allow it."""
    with SidecarProcess(f"file:{document}", folder=tmp_path) as sidecar:
        words = f"--probe-hosts does not allow {LOOPBACK}:{port}"
        eventually(lambda: words in sidecar.status().source_error, "the notice")
        assert words in sidecar.log_text()
        assert sidecar.filter().datacenter == "dc1"
