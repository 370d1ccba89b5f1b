"""The promises of docs/failover.md for when things break: every source, with a scheduler that keeps calling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import SERVICE, Caller, SidecarProcess, code_of
from tests.integration.failures.centers import Center
from tests.integration.failures.conftest import SECOND, Call, Serve
from tests.waiting import eventually

FOLLOWED = 20.0

Fault = tuple[Callable[[Center], None], Callable[[Center], None]]
FAULTS: dict[str, Fault] = {
    "killed and restarted": (lambda center: center.kill(), lambda center: center.restart()),
    "frozen": (lambda center: center.freeze(), lambda center: center.thaw()),
    "partitioned": (lambda center: center.cut_off(), lambda center: center.rejoin()),
}


def is_in(sidecar: SidecarProcess, state: pb.SourceState) -> pb.SidecarStatus:
    """Wait until the source is in a state, and return the status."""
    what = pb.SourceState.Name(state)
    eventually(lambda: sidecar.status().source_state == state, what, within=FOLLOWED)
    return sidecar.status()


def served_only(caller: Caller, *datacenters: str) -> None:
    """End the calls: not one failed, and these datacenters served, in this order and no other."""
    caller.stop()
    caller.no_failures()
    assert caller.datacenters() == list(datacenters)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_center_is_away(center: Center, serve: Serve, call: Call, fault: str) -> None:
    """Killed, frozen or partitioned: decisions go on, and say that they are stale; the return is followed."""
    breaks, mends = FAULTS[fault]
    sidecar = serve()
    caller = call(sidecar)
    caller.until(lambda answer: answer.datacenter == "dc1" and not answer.stale, "fresh answers")
    confirmed = sidecar.status().confirmed_at_ms
    breaks(center)
    try:
        caller.until(lambda answer: answer.stale, "stale answers", within=FOLLOWED)
        status = is_in(sidecar, pb.SOURCE_STATE_DISCONNECTED)
        assert status.source_error
        assert confirmed <= status.confirmed_at_ms < time.time() * 1000
    finally:
        mends(center)
    center.put(SECOND)
    caller.until(lambda answer: answer.datacenter == "dc2" and not answer.stale, "fresh answers", within=FOLLOWED)
    assert is_in(sidecar, pb.SOURCE_STATE_SYNCED).source_error == ""
    served_only(caller, "dc1", "dc2")


def test_a_start_while_the_center_is_away(center: Center, serve: Serve, call: Call, tmp_path: Path) -> None:
    """From the snapshot, at once and said so; without one UNAVAILABLE and not ready; both follow the return."""
    sidecar = serve("--state-dir", str(tmp_path / "state"))
    assert sidecar.filter().datacenter == "dc1"
    eventually((tmp_path / "state" / "snapshot").exists, "the snapshot")
    assert sidecar.end() == 0
    center.cut_off()
    try:
        sidecar.start()
        work = sidecar.cpu
        bare = serve(name="bare", wait=False)
        caller = call(sidecar)
        answer = caller.until(lambda _: True, "an answer")
        assert (answer.datacenter, answer.stale) == ("dc1", True)
        # On a machine that has nothing else to do that is the time, too.
        assert work < 1.5, f"{work:.2f} s of CPU from the start to the first answer"
        status = sidecar.status()
        assert (status.from_snapshot, status.source_state) == (True, pb.SOURCE_STATE_DISCONNECTED)
        with pytest.raises(grpc.RpcError, match="no routing document yet") as refused:
            bare.filter()
        assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE
        assert not bare.healthy()
    finally:
        center.rejoin()
    center.put(SECOND)
    caller.until(lambda answer: answer.datacenter == "dc2" and not answer.stale, "fresh answers", within=FOLLOWED)
    assert not sidecar.status().from_snapshot
    eventually(bare.healthy, "the other one to be ready", within=FOLLOWED)
    # It may have read the first document too, between the return and the second one.
    eventually(lambda: bare.filter().datacenter == "dc2", "the other one's second document", within=FOLLOWED)
    served_only(caller, "dc1", "dc2")


def test_too_stale_is_not_ready(center: Center, serve: Serve, call: Call) -> None:
    """With --max-stale health says NOT_SERVING after a while, the answers stay, and the return ends that."""
    sidecar = serve("--max-stale", "1s")
    caller = call(sidecar)
    center.cut_off()
    try:
        eventually(lambda: not sidecar.healthy(), "health to say NOT_SERVING", within=FOLLOWED)
        caller.until(lambda answer: answer.stale, "stale answers")
    finally:
        center.rejoin()
    eventually(sidecar.healthy, "health to say SERVING", within=FOLLOWED)
    served_only(caller, "dc1")


def test_a_bad_document_is_refused(center: Center, serve: Serve, call: Call) -> None:
    """A refused document changes no decision; the status reports where it is wrong, until there is a good one."""
    sidecar = serve()
    caller = call(sidecar)
    center.put("default: dc1\napps:\n  billing: {activ: dc3}\n")
    status = is_in(sidecar, pb.SOURCE_STATE_REJECTED)
    assert "apps.billing.activ (line 3, column 13)" in status.source_error
    assert "did you mean `active`?" in status.source_error
    center.put(SECOND)
    caller.until(lambda answer: answer.datacenter == "dc2", "the good document", within=FOLLOWED)
    is_in(sidecar, pb.SOURCE_STATE_SYNCED)
    assert not any(answer.stale for answer in caller.answers)
    served_only(caller, "dc1", "dc2")


def test_a_deleted_key_is_no_order(center: Center, serve: Serve, call: Call) -> None:
    """Without the key the last good document decides; the key that comes again is followed."""
    sidecar = serve()
    caller = call(sidecar)
    center.remove()
    assert is_in(sidecar, pb.SOURCE_STATE_MISSING).source_error
    seen = len(caller.answers)
    eventually(lambda: len(caller.answers) > seen + 20, "answers without the key")
    center.put(SECOND)
    caller.until(lambda answer: answer.datacenter == "dc2", "the new key's document", within=FOLLOWED)
    served_only(caller, "dc1", "dc2")


def test_a_snapshot_that_is_no_good(center: Center, serve: Serve, call: Call, tmp_path: Path) -> None:
    """One that cannot be written, then a torn one: warnings, and nothing that a scheduler could see."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    # In the way of the file that becomes the snapshot.
    (state / ".snapshot.new").mkdir()
    sidecar = serve("--state-dir", str(state))
    caller = call(sidecar)
    eventually(lambda: "Is a directory" in sidecar.log_text(), "the warning")
    center.put(SECOND)
    caller.until(lambda answer: answer.datacenter == "dc2", "the second document", within=FOLLOWED)
    served_only(caller, "dc1", "dc2")
    assert sidecar.end() == 0
    (state / ".snapshot.new").rmdir()
    (state / "snapshot").write_bytes(b'{"format": 1, "source": "torn')
    sidecar.start()
    assert "is no snapshot" in sidecar.log_text()
    assert (sidecar.filter().datacenter, sidecar.status().from_snapshot) == ("dc2", False)


def test_an_override_wins_while_its_file_exists(center: Center, serve: Serve, call: Call, tmp_path: Path) -> None:
    """Also while the center is away the local document decides at once, loudly, and the center's again afterwards."""
    file = tmp_path / "override.yaml"
    sidecar = serve("--override", str(file))
    caller = call(sidecar)
    caller.until(lambda answer: answer.datacenter == "dc1", "answers by the center's document")
    center.cut_off()
    try:
        caller.until(lambda answer: answer.stale, "stale answers", within=FOLLOWED)
        file.write_text("dc3")
        caller.until(lambda answer: answer.datacenter == "dc3" and not answer.stale, "the override")
        assert f"OVERRIDDEN by file:{file}" in sidecar.status().source_error
        assert f"OVERRIDDEN by file:{file}" in sidecar.log_text()
        center.put(SECOND)
    finally:
        center.rejoin()
    is_in(sidecar, pb.SOURCE_STATE_SYNCED)
    file.unlink()
    caller.until(lambda answer: answer.datacenter == "dc2", "the center's document", within=FOLLOWED)
    assert sidecar.status().source_error == ""
    served_only(caller, "dc1", "dc3", "dc2")


@pytest.mark.timed
def test_sigterm_while_the_center_hangs(center: Center, serve: Serve, call: Call) -> None:
    """A center that does not answer does not hold up the end: exit status 0, and no call lost but by UNAVAILABLE."""
    sidecar = serve("--grace", "5s")
    caller = call(sidecar)
    caller.until(lambda answer: answer.datacenter == "dc1", "answers")
    center.freeze()
    try:
        caller.until(lambda answer: answer.stale, "stale answers", within=FOLLOWED)
        began = time.monotonic()
        assert sidecar.end() == 0
        assert time.monotonic() - began < 6
    finally:
        center.thaw()
    caller.stop()
    caller.lost_by_shutdown_only()


@pytest.mark.parametrize("mended", ["fake"], indirect=True)
def test_a_flood_is_bounded(center: Center, serve: Serve) -> None:
    """What is more than --max-concurrent-calls is refused at once; all the others are answered rightly."""
    assert center.url
    sidecar = serve("--max-concurrent-calls", "2")
    silence = threading.Event()
    unary = sidecar.client.channel.stream_unary(SERVICE + "FilterWorkers", None, None)
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller(sidecar.address)) for _ in range(4)]
        for caller in callers:
            caller.until(lambda answer: answer.datacenter == "dc1", "answers")
        # Calls whose requests do not come are under way until they are given up.
        silent: list[Any] = [unary.future(iter(lambda: silence.wait() and None, None)) for _ in range(2)]
        for caller in callers:
            caller.refused()
        for call in silent:
            call.cancel()
        for caller in callers:
            caller.until(lambda answer: answer.datacenter == "dc1", "answers again", within=30)
        silence.set()
    assert {failure.code for caller in callers for failure in caller.failures} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert {answer.datacenter for caller in callers for answer in caller.answers} == {"dc1"}
