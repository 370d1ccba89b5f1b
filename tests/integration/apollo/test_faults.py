"""Config services that die, freeze, lag, lose their database or their network."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from sidecar.backoff import Backoff
from sidecar.sources import open_source
from sidecar.sources.base import Content, Unreachable
from tests.harness import SidecarProcess
from tests.integration.apollo.conftest import Watch
from tests.integration.watched import WatchedSource
from tests.servers.apollo.server import APP, ApolloServer, source_url
from tests.servers.process import LOOPBACK, free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.waiting import eventually

SPACE = "routing.yaml"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApolloServer]:
    """Run a server that the test may break, with the document `dc1`."""
    with ApolloServer(tmp_path / "apollo") as server:
        server.operator.release(SPACE, "dc1")
        yield server


@pytest.fixture
def wire(server: ApolloServer) -> Iterator[TcpProxy]:
    """Put a proxy before the server, which its meta service names."""
    with TcpProxy(server.port) as proxy:
        server.operator.settle("settings", configServices=[f"http://{LOOPBACK}:{proxy.port}/"])
        yield proxy


def through(wire: TcpProxy) -> str:
    """Return the URL of the key at the near end of a wire."""
    return f"apollo://{LOOPBACK}:{wire.port}/{APP}/default/{SPACE}"


@pytest.mark.parametrize("fault", [TcpProxy.refuse, TcpProxy.drop, TcpProxy.half_open, TcpProxy.cut])
@pytest.mark.timed
def test_partitioned(server: ApolloServer, wire: TcpProxy, watch: Watch, fault: Callable[[TcpProxy], None]) -> None:
    """However the network breaks, a change made meanwhile is reported soon after, and the next one by the poll."""
    watched = watch(through(wire))
    watched.reaches("dc1")
    fault(wire)
    server.operator.release(SPACE, "dc2")
    if fault in {TcpProxy.refuse, TcpProxy.drop}:
        watched.becomes(Unreachable, within=9)
    wire.cut()
    wire.forward()
    watched.reaches("dc2", within=6)
    eventually(lambda: wire.connections >= 2, "the poll again")
    released = time.monotonic()
    server.operator.release(SPACE, "dc3")
    assert watched.reaches("dc3") - released < 2.0


@pytest.mark.timed
def test_a_killed_service_is_noticed_at_once_and_a_frozen_one_within_nine_seconds(
    server: ApolloServer, watch: Watch
) -> None:
    """The poll's connection breaks with the service; a frozen one is found by the next read.

    That read comes after up to six seconds, jitter included, and gives up after three.
    """
    watched = watch(source_url(server))
    watched.reaches("dc1")
    server.kill()
    killed = time.monotonic()
    watched.becomes(Unreachable)
    assert time.monotonic() - killed < 1.0
    server.start()
    watched.becomes(Content)
    server.freeze()
    frozen = time.monotonic()
    watched.becomes(Unreachable, within=10)
    assert time.monotonic() - frozen < 9.5
    server.thaw()
    server.operator.release(SPACE, "dc2")
    watched.reaches("dc2")


@pytest.mark.parametrize("fault", [ApolloServer.kill, ApolloServer.freeze])
@pytest.mark.timed
def test_another_service_takes_over(
    tmp_path: Path, server: ApolloServer, fault: Callable[[ApolloServer], None]
) -> None:
    """Of two services on one database the one that is left serves the reads and the poll, without an outage."""
    with ApolloServer(tmp_path / "apollo") as second:
        server.operator.settle("settings", configServices=[f"{server.http}/", f"{second.http}/"])
        source = open_source(source_url(server, second), {})
        with WatchedSource(source) as watched:
            watched.reaches("dc1")
            watcher = source._watcher  # type: ignore[attr-defined]
            first = server if watcher._client.server.port == server.port else second
            left = second if first is server else server
            fault(first)
            left.operator.release(SPACE, "dc2")
            watched.reaches("dc2")
            eventually(lambda: watcher._client.server.port == left.port, "the other service")
            released = time.monotonic()
            left.operator.release(SPACE, "dc3")
            assert watched.reaches("dc3") - released < 2.0
            assert not watched.was_away()


def test_the_meta_server_may_be_away_once_the_services_are_known(
    server: ApolloServer, tmp_path: Path, watch: Watch
) -> None:
    """A list that is known stays in use; a second meta server is asked where the first one does not answer."""
    with ApolloServer(tmp_path / "meta") as meta:
        meta.operator.settle("settings", configServices=[f"{server.http}/"])
        nobody = f"{LOOPBACK}:{free_port()}"
        watched = watch(f"apollo://{nobody},{meta.address}/{APP}/default/{SPACE}")
        watched.reaches("dc1")
    server.operator.release(SPACE, "dc2")
    watched.reaches("dc2")
    assert not watched.was_away()


def test_a_named_config_service_needs_no_meta_server(server: ApolloServer, watch: Watch) -> None:
    """With apollo-config-service nobody else is asked."""
    url = f"apollo://{LOOPBACK}:{free_port()}/{APP}/default/{SPACE}"
    watched = watch(url, {"apollo-config-service": server.http})
    watched.reaches("dc1")


@pytest.mark.timed
def test_a_database_restored_from_a_backup_is_taken_over(server: ApolloServer, watch: Watch) -> None:
    """Its notifications are numbered lower, so a held poll says nothing: reading finds it, and polls start over."""
    backup = server.folder / "backup.json"
    shutil.copy(server.folder / "database.json", backup)
    for number in range(2, 12):
        server.operator.release(SPACE, f"dc{number}")
    watched = watch(source_url(server))
    watched.reaches("dc11")
    server.kill()
    # Between the backup and the restore somebody released what no sidecar has seen.
    database = json.loads(backup.read_text())
    (server.folder / "database.json").write_text(json.dumps(database))
    server.start()
    watched.reaches("dc1", within=15)
    released = time.monotonic()
    server.operator.release(SPACE, "dc20")
    assert watched.reaches("dc20") - released < 2.0


def test_two_hundred_reconnects_leave_nothing_behind(server: ApolloServer, wire: TcpProxy) -> None:
    """After two hundred lost connections there is not a thread or a socket more than after the first few."""
    source = open_source(through(wire), {})
    with WatchedSource(source) as watched:
        watched.reaches("dc1")
        source._poll._backoff = Backoff(first_s=0.01, longest_s=0.01)  # type: ignore[attr-defined]
        process = psutil.Process()

        def flap(times: int) -> None:
            for _ in range(times):
                seen = len(watched.reports)
                wire.cut()
                eventually(lambda seen=seen: len(watched.reports) > seen, "the document again")  # type: ignore[misc]
                eventually(lambda: wire.connections == 2, "both connections")

        flap(20)
        before, memory = (threading.active_count(), process.num_fds()), process.memory_info().rss
        flap(180)
        gc.collect()
        eventually(
            lambda: threading.active_count() <= before[0] and process.num_fds() <= before[1],
            f"no more threads and descriptors than {before}",
            within=30,
        )
        grown = process.memory_info().rss - memory
        assert grown < 4 << 20, f"{grown} bytes more after 180 further reconnects"
        server.operator.release(SPACE, "dc2")
        watched.reaches("dc2")


@pytest.mark.parametrize("fault", ["refusing", "frozen"])
def test_hardly_any_work_while_the_server_is_away(
    server: ApolloServer, wire: TcpProxy, tmp_path: Path, fault: str
) -> None:
    """Under one percent of a processor over ten seconds, and one log line for the outage."""
    with SidecarProcess(through(wire), folder=tmp_path) as sidecar:
        wire.refuse() if fault == "refusing" else wire.drop()
        eventually(lambda: sidecar.status().source_error, "the outage", within=15)
        cpu, began, log = sidecar.cpu, time.monotonic(), len(sidecar.log_text())
        eventually(lambda: time.monotonic() > began + 10, "ten seconds", within=11)
        busy = (sidecar.cpu - cpu) / (time.monotonic() - began)
        assert busy < 0.01, f"{busy:.2%} CPU"
        assert len(sidecar.log_text()) == log, sidecar.log_text()
        assert server.running


@pytest.mark.timed
def test_stop_has_a_deadline(wire: TcpProxy) -> None:
    """`stop` returns in time also while a read and a poll wait for an answer, and nothing is delivered afterwards."""
    with ExitStack() as stack:
        source = open_source(through(wire), {})
        watched = stack.enter_context(WatchedSource(source))
        watched.reaches("dc1")
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("apollo-")]
        wire.drop()
        began = time.monotonic()
        source.stop(1.0)
        assert time.monotonic() - began < 1.5
        seen = len(watched.reports)
        wire.forward()
        eventually(lambda: not any(thread.is_alive() for thread in threads), "the threads' end")
        assert len(watched.reports) == seen
