"""A datacenter whose workers come and go: work leaves it once, and returns once, at the time the document says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from sidecar.health.failover_store import load
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import SidecarProcess, a_request
from tests.waiting import eventually

BOTH = {"dc1": 2, "dc2": 2}
ONE_OF_DC1 = {"dc1": 1, "dc2": 2}


def asked(sidecar: SidecarProcess, counts: Mapping[str, int]) -> pb.FilterWorkersResponse:
    """Return the decision for billing among so many candidates in each datacenter."""
    return sidecar.filter(a_request("billing", "7", counts, dispatch=True))


def serve(folder: Path, failover: str) -> SidecarProcess:
    """Return a sidecar, not started, whose routes fail over in this way."""
    (folder / "routing.yaml").write_text(
        f"default: {{active: dc1, backups: [dc2], min_workers: 2, failover: {failover}}}\napps: {{billing: {{}}}}\n"
    )
    source = f"file:{folder}/routing.yaml"
    return SidecarProcess(source, "--state-dir", str(folder / "state"), folder=folder)


def test_flapping_makes_nothing_hop(tmp_path: Path) -> None:
    """Workers that come and go twice a second for a while move no job; a fault that lasts does, and it returns late."""
    with serve(tmp_path, "{after: 1500ms, back_after: 2s}") as sidecar:
        generation = sidecar.status().generation
        for _ in range(8):
            assert asked(sidecar, ONE_OF_DC1).datacenter == "dc1"
            time.sleep(0.25)
            assert asked(sidecar, BOTH).datacenter == "dc1"
            time.sleep(0.25)
        assert "failed over" not in sidecar.log_text()
        began = time.monotonic()
        eventually(lambda: asked(sidecar, ONE_OF_DC1).reason == pb.REASON_FAILOVER, "the failover", every=0.05)
        assert time.monotonic() - began >= 1.5
        assert sidecar.client.route("billing").unavailable == ["dc1"]
        told = sidecar.status().outages
        assert [(outage.datacenter, outage.app) for outage in told] == [("dc1", "billing")]
        assert told[0].reason.startswith("failed over: 1 of 2 workers, since ")
        assert sidecar.client.route("billing").outages[0].reason == told[0].reason
        assert "billing: dc1 preferred → dc1 failed over: 1 of 2 workers, since " in sidecar.log_text()
        began = time.monotonic()
        assert asked(sidecar, BOTH).datacenter == "dc2"
        eventually(lambda: asked(sidecar, BOTH).datacenter == "dc1", "the return", every=0.05)
        assert time.monotonic() - began >= 2.0
        assert sidecar.status().generation > generation
        assert "dc1 preferred again" in sidecar.log_text()


def test_return_by_hand_survives_a_restart(tmp_path: Path) -> None:
    """Under `back: manual` work stays away, also over kill -9, until the document sends it back."""
    with serve(tmp_path, "{back: manual}") as sidecar:

        def failed_over() -> bool:
            assert asked(sidecar, {"dc2": 2}).datacenter == "dc2"
            return bool(sidecar.client.route("billing").unavailable)

        eventually(failed_over, "the failover")
        assert asked(sidecar, BOTH).datacenter == "dc2"
        eventually(lambda: load(tmp_path / "state", sidecar.status().source), "the memory on disk")
        sidecar.kill()
        sidecar.start()
        assert asked(sidecar, BOTH).datacenter == "dc2"
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        text = (tmp_path / "routing.yaml").read_text().replace("manual", f'manual, failed_back: "{now}"')
        (tmp_path / "routing.yaml").write_text(text)
        eventually(lambda: asked(sidecar, BOTH).datacenter == "dc1", "the return")


def test_no_question_moves_work(tmp_path: Path) -> None:
    """Requests that dispatch nothing are no evidence, nor is a dispatch alone, nor one of a name that is made up."""
    with serve(tmp_path, "{back: manual}") as sidecar:
        began = sidecar.status().generation
        for number in range(40):
            answer = sidecar.filter(a_request("billing", str(number), {"dc2": 2}))
            assert (answer.datacenter, answer.undecided) == ("dc2", False)
            sidecar.filter(a_request("made-up", str(number), {"dc2": 2}, dispatch=True))
            time.sleep(0.05)
        assert sidecar.status().generation == began
        assert asked(sidecar, {"dc2": 2}).undecided
        eventually(lambda: sidecar.status().generation > began, "the fault to be timed")
        assert not sidecar.client.route("billing").unavailable
        assert asked(sidecar, BOTH).datacenter == "dc1"
        assert not sidecar.status().outages
