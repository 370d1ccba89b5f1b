"""What breaks: the server, the network, the session; decisions run all along, and none of them fails.

One server is frozen when the first of these tests begins; the last one lets it go on after a minute.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest
from kazoo.client import KazooClient

from sidecar.lifecycle import SourceState
from sidecar.sources import open_source
from sidecar.sources.base import Content, Report
from sidecar.sources.zookeeper import ZooKeeperSource
from sidecar.sources.zookeeper import watch as watch_module
from tests.integration.zookeeper.conftest import AFTER_RETURN, NODE, Serve, Serving, change, follows_by_watch
from tests.servers.process import free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client
from tests.waiting import eventually

_LONELY = """
import sys, threading
from sidecar.sources import open_source
from sidecar.sources.base import Content, Report
from sidecar.sources.zookeeper import ZooKeeperSource
from sidecar.sources.base import Unreachable
for url in sys.argv[1:]:
    told = threading.Event()
    open_source(url, {}).start(lambda report: told.set() if isinstance(report, Unreachable) else None)
    told.wait()
print("away", flush=True)
sys.stdin.read()
"""


class Frozen:
    """A server that stands still, a sidecar that had read its document, and a process whose servers are all away."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.server = stack.enter_context(ZooKeeperServer(folder))
        with zookeeper_client(self.server.address) as operator:
            operator.create(NODE, b"dc1")
        self.url = f"zookeeper://{self.server.address}{NODE}"
        self.serving = stack.enter_context(Serving(self.url))
        self.serving.decides_for("dc1")
        self.server.freeze()
        self.since = time.monotonic()
        nobody = f"zookeeper://127.0.0.1:{free_port()},127.0.0.1:{free_port()}{NODE}"
        lonely = subprocess.Popen(
            [sys.executable, "-c", _LONELY, nobody, self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.callback(lonely.wait, 10)
        stack.callback(lonely.kill)
        assert lonely.stdout is not None
        assert lonely.stdout.readline() == b"away\n"
        self.lonely = psutil.Process(lonely.pid)
        self.lonely.cpu_percent()
        self.measured_since = time.monotonic()


@pytest.fixture(scope="module", autouse=True)
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """Freeze a server for as long as the other tests of this module take, a minute at least."""
    with ExitStack() as stack:
        yield Frozen(tmp_path_factory.mktemp("frozen"), stack)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ZooKeeperServer]:
    """Run a server that the test may break, with the document `dc1`."""
    with ZooKeeperServer(tmp_path / "server") as server:
        change(server, "dc1")
        yield server


@pytest.mark.timed
def test_killed_and_restarted(server: ZooKeeperServer, serve: Serve) -> None:
    """DISCONNECTED at once when the server dies, SYNCED when it is back, with the change made before we were."""
    serving = serve(f"zookeeper://{server.address}{NODE}")
    serving.decides_for("dc1")
    for number in (2, 3):
        server.kill()
        serving.is_in(SourceState.DISCONNECTED, 1)
        assert server.address in serving.error
        server.start()
        change(server, f"dc{number}")
        serving.decides_for(f"dc{number}", AFTER_RETURN)
        serving.is_in(SourceState.SYNCED)
    assert serving.states_passed == ["SYNCED", *["DISCONNECTED", "SYNCED"] * 2]
    assert serving.history == ["dc1", "dc2", "dc3"]
    follows_by_watch(serving, server, "dc4")


@pytest.mark.timed
def test_down_at_start_and_coming_up_later(tmp_path: Path, serve: Serve) -> None:
    """CONNECTING, with the reason, until the server comes; then its document is in force."""
    server = ZooKeeperServer(tmp_path / "server")
    with server:
        change(server, "dc1")
        server.kill()
        serving = serve(f"zookeeper://{server.address}{NODE}")
        eventually(lambda: f"{server.address}: Connection refused" in serving.error, "the reason")
        assert serving.state is SourceState.CONNECTING
        server.start()
        serving.decides_for("dc1", AFTER_RETURN)
        assert serving.states_passed == ["SYNCED"]


@pytest.mark.timed
def test_session_expired_by_the_server(server: ZooKeeperServer, serve: Serve) -> None:
    """The server ends the session while the network is silent: what changed meanwhile comes with the next session."""
    with TcpProxy(server.port) as proxy:
        serving = serve(f"zookeeper://127.0.0.1:{proxy.port}{NODE}")
        serving.decides_for("dc1")
        session = serving.session_id
        assert f"{session:#x}" in server.ask("dump")
        proxy.drop()
        eventually(lambda: f"{session:#x}" not in server.ask("dump"), "the session's end")
        serving.is_in(SourceState.DISCONNECTED)
        change(server, "dc2")
        proxy.forward()
        serving.decides_for("dc2", AFTER_RETURN)
        eventually(lambda: serving.session_id not in (0, session), "another session")
        assert serving.history == ["dc1", "dc2"]
        follows_by_watch(serving, server, "dc3")


def _healed(proxy: TcpProxy) -> None:
    proxy.cut()
    proxy.forward()


@pytest.mark.timed
@pytest.mark.parametrize("fault", [TcpProxy.refuse, TcpProxy.drop, TcpProxy.half_open, TcpProxy.cut])
def test_partitioned(server: ZooKeeperServer, serve: Serve, fault: Callable[[TcpProxy], None]) -> None:
    """However the network breaks: DISCONNECTED in time, and the change made meanwhile soon after it heals."""
    with TcpProxy(server.port) as proxy:
        serving = serve(f"zookeeper://127.0.0.1:{proxy.port}{NODE}")
        serving.decides_for("dc1")
        fault(proxy)
        change(server, "dc2")
        eventually(lambda: "DISCONNECTED" in serving.states_passed, "DISCONNECTED")
        _healed(proxy)
        serving.decides_for("dc2", AFTER_RETURN)
        serving.is_in(SourceState.SYNCED)
        follows_by_watch(serving, server, "dc3")


def test_a_slow_network_changes_nothing_but_the_time(server: ZooKeeperServer, serve: Serve) -> None:
    """With half a second on each way the document is watched all the same, and the state stays SYNCED."""
    with TcpProxy(server.port) as proxy:
        serving = serve(f"zookeeper://127.0.0.1:{proxy.port}{NODE}")
        serving.decides_for("dc1")
        proxy.delay(0.5)
        change(server, "dc2")
        serving.decides_for("dc2")
        proxy.delay(0)
    assert serving.states_passed[:1] == ["SYNCED"]


def test_flapping_two_hundred_times(server: ZooKeeperServer, serve: Serve) -> None:
    """After two hundred lost connections there is not a thread, a socket or a client more than after the first few."""
    with TcpProxy(server.port) as proxy:
        serving = serve(f"zookeeper://127.0.0.1:{proxy.port}{NODE}")
        serving.decides_for("dc1")
        process = psutil.Process()

        def flap(times: int) -> None:
            for _ in range(times):
                moment = time.monotonic()
                proxy.cut()
                eventually(partial(serving.confirmed_since, moment), "the document again")

        def left() -> tuple[int, int, int]:
            gc.collect()
            clients = sum(isinstance(each, KazooClient) for each in gc.get_objects())
            return threading.active_count(), process.num_fds(), clients

        flap(20)
        before, memory = left(), process.memory_info().rss
        flap(180)
        what = f"no more threads, descriptors and clients than {before}"
        eventually(lambda: all(now <= then for now, then in zip(left(), before, strict=True)), what, every=0.2)
        grown = process.memory_info().rss - memory
        assert grown < 4 << 20, f"{grown} bytes more after 180 further reconnects"
        follows_by_watch(serving, server, "dc2")


def test_data_restored_from_a_backup_are_taken_over(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ensemble whose transaction ids start over is not taken for a lagging server for ever."""
    monkeypatch.setattr(watch_module, "_REPLACE_AFTER_S", 2.0)
    monkeypatch.setattr(watch_module, "_RESTORED_AFTER_S", 5.0)
    port = free_port()
    with ZooKeeperServer(tmp_path / "before", port=port) as before:
        for number in range(20):
            change(before, f"dc{number}")
        serving = serve(f"zookeeper://127.0.0.1:{port}{NODE}")
        serving.decides_for("dc19")
    with ZooKeeperServer(tmp_path / "after", port=port) as after:
        change(after, "dc20")
        eventually(lambda: "lags behind" in serving.error, "the doubt")
        assert serving.history == ["dc19"]
        serving.decides_for("dc20")
        follows_by_watch(serving, after, "dc21")


@pytest.mark.timed
def test_stop_has_a_deadline(server: ZooKeeperServer) -> None:
    """`stop` returns in time also while a look waits for an answer, and nothing is delivered when that comes."""
    with TcpProxy(server.port) as proxy:
        reports: list[Report] = []
        source = open_source(f"zookeeper://127.0.0.1:{proxy.port}{NODE}", {})
        assert isinstance(source, ZooKeeperSource)
        source.start(reports.append)
        eventually(lambda: any(isinstance(report, Content) for report in reports), "the document")
        assert source._watch is not None
        session, thread = source._watch._session, source._watch._thread
        proxy.drop()
        source._watch._wake.set()
        eventually(lambda: session._client._pending, "a look that waits", every=0.001)
        began, seen = time.monotonic(), len(reports)
        source.stop(0.3)
        assert time.monotonic() - began < 0.8
        proxy.forward()
        eventually(lambda: not thread.is_alive(), "the thread's end")
        assert len(reports) == seen


def test_hardly_any_work_while_the_servers_are_away(frozen: Frozen) -> None:
    """Under one percent of a processor, for three refusing and frozen servers together, over ten seconds and more."""
    eventually(lambda: time.monotonic() > frozen.measured_since + 10, "ten seconds", within=11)
    assert frozen.lonely.cpu_percent() < 1.0


@pytest.mark.timed
def test_frozen_for_a_minute(frozen: Frozen) -> None:
    """After 60 s of silence: DISCONNECTED all the while, decisions by the last document, the change soon after."""
    serving = frozen.serving
    eventually(lambda: time.monotonic() > frozen.since + 60, "a minute", within=61)
    assert serving.states_passed == ["SYNCED", "DISCONNECTED"]
    at, _ = serving.states[-1]
    assert at - frozen.since < 5, f"DISCONNECTED after {at - frozen.since:.1f} s"
    before = serving.decisions
    eventually(lambda: serving.decisions > before + 20, "decisions")
    frozen.server.thaw()
    returned = time.monotonic()
    change(frozen.server, "dc2")
    serving.decides_for("dc2", AFTER_RETURN)
    assert serving.decided[-1][0] - returned < AFTER_RETURN
    serving.is_in(SourceState.SYNCED)
    follows_by_watch(serving, frozen.server, "dc3")
