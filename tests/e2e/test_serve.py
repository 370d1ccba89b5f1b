"""`dc-sidecar serve` as the process that it is: started, asked, told new routes, and ended under load."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import grpc
import psutil
import pytest

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import SERVICE, Caller, SidecarProcess, code_of
from tests.servers.process import free_port
from tests.waiting import eventually

SERVING = "default: {active: dc1, backups: [dc2]}\n"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return a document to serve."""
    path = tmp_path / "routing.yaml"
    path.write_text(SERVING)
    return path


def test_a_decision_follows_the_file(document: Path, tmp_path: Path) -> None:
    """An edit of the document decides the next calls, and no call in between fails."""
    with SidecarProcess(f"file:{document}", folder=tmp_path) as sidecar, Caller(sidecar.address) as caller:
        caller.until(lambda answer: answer.datacenter == "dc1", "answers from dc1")
        document.write_text("dc2")
        caller.until(lambda answer: answer.datacenter == "dc2", "answers from dc2")
        caller.stop()
        caller.no_failures()
        assert caller.datacenters() == ["dc1", "dc2"]
        assert sidecar.status().source == f"file:{document}"


def test_without_a_document_it_says_why(tmp_path: Path) -> None:
    """While there is no document, calls get UNAVAILABLE with the source's own words, and the first one ends that."""
    document = tmp_path / "routing.yaml"
    with SidecarProcess(f"file:{document}", folder=tmp_path, wait_for_document=False) as sidecar:
        eventually(lambda: sidecar.status().source_state == pb.SOURCE_STATE_MISSING, "the source to have looked")
        with pytest.raises(grpc.RpcError, match=r"no routing document yet; the source is MISSING") as refused:
            sidecar.filter()
        assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE
        document.write_text(SERVING)
        eventually(lambda: sidecar.status().revision, "a document in force")
        assert sidecar.filter().datacenter == "dc1"


def test_a_terminated_sidecar_loses_no_call(document: Path, tmp_path: Path) -> None:
    """SIGTERM under load: every call is answered or refused with UNAVAILABLE, and the exit status is 0."""
    with SidecarProcess(f"file:{document}", folder=tmp_path) as sidecar, ExitStack() as stack:
        callers = [stack.enter_context(Caller(sidecar.address, every=0)) for _ in range(4)]
        for caller in callers:
            caller.until(lambda answer: answer.datacenter == "dc1", "answers")
        assert sidecar.end(signal.SIGTERM) == 0
        for caller in callers:
            caller.refused()
            caller.stop()
            assert {failure.code for failure in caller.failures} == {grpc.StatusCode.UNAVAILABLE}


@pytest.mark.timed
def test_streams_end_when_it_is_terminated(document: Path, tmp_path: Path) -> None:
    """A watcher learns of the end at once and does not hold it up for the grace period."""
    with SidecarProcess(f"file:{document}", "--grace", "30s", folder=tmp_path) as sidecar:
        watch = sidecar.client.watch()
        assert next(watch).default_route.weights[0].datacenter == "dc1"
        assert sidecar.end(signal.SIGTERM, within=5) == 0
        with pytest.raises(grpc.RpcError, match="shutting down") as ended:
            next(watch)
        assert code_of(ended.value) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.timed
def test_a_second_signal_ends_it_at_once(document: Path, tmp_path: Path) -> None:
    """Who asks twice does not wait for calls that never end; the exit status reports the signal."""
    with SidecarProcess(f"file:{document}", "--grace", "60s", folder=tmp_path) as sidecar:
        # A call whose request never comes is under way for ever.
        silent = threading.Event()
        call = sidecar.client.channel.stream_unary(SERVICE + "FilterWorkers", None, None).future(
            b"" for _ in iter(silent.wait, True)
        )
        sidecar.filter()
        assert not call.done()
        os.kill(sidecar.pid, signal.SIGTERM)
        eventually(lambda: "stopping" in sidecar.log_text(), "the first signal taken")
        assert sidecar.end(signal.SIGTERM, within=5) == 128 + signal.SIGTERM
        silent.set()


def test_the_thread_that_answers_reads_what_comes(document: Path, tmp_path: Path) -> None:
    """No thread of gRPC's hands calls over to the one that answers: that takes two thirds more of the processor."""
    with SidecarProcess(f"file:{document}", folder=tmp_path) as sidecar:
        assert _share_of_engine(sidecar) < 0.1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_threads_of_their_own_read_what_other_machines_may_send(document: Path, tmp_path: Path, workers: str) -> None:
    """With --call-reading threads a connection that floods keeps a thread of gRPC's busy, not the one that answers."""
    flags = ("--call-reading", "threads", "--workers", workers)
    listen = f"127.0.0.1:{free_port()}"
    with SidecarProcess(f"file:{document}", *flags, folder=tmp_path, listen=listen) as sidecar:
        assert _share_of_engine(sidecar) > 0.1


def _share_of_engine(sidecar: SidecarProcess) -> float:
    """Return the share of the processor time of a thousand calls that gRPC's own threads take."""
    processes = [sidecar.pid, *(child.pid for child in psutil.Process(sidecar.pid).children())]
    before = [_engine_and_all(pid) for pid in processes]
    for _ in range(1000):
        sidecar.filter()
    after = [_engine_and_all(pid) for pid in processes]
    engine, everything = (sum(now[at] - then[at] for now, then in zip(after, before, strict=True)) for at in (0, 1))
    return engine / everything


def _engine_and_all(pid: int) -> tuple[int, int]:
    """Return the processor time of gRPC's own threads and of all threads of a process, in nanoseconds."""
    used: dict[bool, int] = {True: 0, False: 0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        used[(task / "comm").read_text() == "event_engine\n"] += int((task / "schedstat").read_text().split()[0])
    return used[True], used[True] + used[False]
