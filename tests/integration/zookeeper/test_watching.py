"""What a healthy ZooKeeper shows of its node, and when."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from kazoo.client import KazooClient

from sidecar.lifecycle import SourceState
from sidecar.sources import open_source
from sidecar.sources.base import Content, Missing, Report
from sidecar.sources.zookeeper import watch as watch_module
from tests.integration.zookeeper.conftest import Serve
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client
from tests.waiting import eventually


@pytest.fixture
def no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not poll: what is seen, the watch reported."""
    monkeypatch.setattr(watch_module, "_POLL_S", 3600.0)


@pytest.mark.usefixtures("no_looks")
def test_follows_creation_change_deletion_and_re_creation(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, serve: Serve
) -> None:
    """The watch reports every change of the node, from before its parent exists."""
    serving = serve(f"zookeeper://{zookeeper.address}{node}")
    serving.is_in(SourceState.MISSING)
    assert f"no node {node}" in serving.error
    operator.create(node, b"dc1", makepath=True)
    serving.decides_for("dc1")
    for number in range(2, 6):
        operator.set(node, b"dc%d" % number)
        serving.decides_for(f"dc{number}")
    for number in range(6, 9):
        operator.delete(node)
        serving.is_in(SourceState.MISSING)
        operator.create(node, b"dc%d" % number)
        serving.decides_for(f"dc{number}")
        serving.is_in(SourceState.SYNCED)
    assert serving.history == [f"dc{number}" for number in range(1, 9)]


def test_a_deleted_or_emptied_node_is_missing_and_the_last_document_decides(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, serve: Serve
) -> None:
    """An empty node changes no decision: the state is MISSING, with the reason."""
    operator.create(node, b"dc1", makepath=True)
    serving = serve(f"zookeeper://{zookeeper.address}{node}")
    serving.decides_for("dc1")
    operator.set(node, b"")
    serving.is_in(SourceState.MISSING)
    assert "holds nothing" in serving.error
    operator.delete(node)
    eventually(lambda: "no node" in serving.error, "the deletion said")
    before = serving.decisions
    eventually(lambda: serving.decisions > before + 20, "further decisions")
    assert serving.history == ["dc1"]


@pytest.mark.usefixtures("no_looks")
@pytest.mark.timed
def test_a_burst_of_a_thousand_sets_ends_on_the_last(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, serve: Serve
) -> None:
    """Versions only grow, the last one is in force at once when the burst is over, and no backlog follows."""
    operator.create(node, b"dc0", makepath=True)
    serving = serve(f"zookeeper://{zookeeper.address}{node}")
    serving.decides_for("dc0")
    began = time.monotonic()
    sets = [operator.set_async(node, b"dc%d" % number) for number in range(1, 1001)]
    sets[-1].get(timeout=10)
    took = time.monotonic() - began
    serving.decides_for("dc1000")
    late = time.monotonic() - began - took
    assert late < 0.5, f"{late:.1f} s after a burst of {took:.1f} s"
    numbers = [int(name[2:]) for name in serving.history]
    assert numbers == sorted(numbers)
    operator.set(node, b"dc1001")
    serving.decides_for("dc1001")
    last = [report.text for _, report in serving.reports[-2:] if isinstance(report, Content)]
    assert last == [b"dc1000", b"dc1001"], "a backlog"


@pytest.mark.timed
def test_looks_again_also_when_nothing_happens(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, serve: Serve
) -> None:
    """Freshness is known by looks of its own: the document is confirmed every few seconds without any change."""
    operator.create(node, b"dc1", makepath=True)
    serving = serve(f"zookeeper://{zookeeper.address}{node}")
    serving.decides_for("dc1")
    for _ in range(2):
        moment = time.monotonic()
        eventually(partial(serving.confirmed_since, moment), "a confirmation", within=4)
    assert len(serving.reports) <= 4
    assert serving.states_passed == ["SYNCED"]


def test_the_path_begins_with_the_chroot(zookeeper: ZooKeeperServer, operator: KazooClient, node: str) -> None:
    """A chroot is the first part of the path in the URL, as in any connect string of ZooKeeper."""
    operator.ensure_path("/prod")
    with zookeeper_client(f"{zookeeper.address}/prod") as within_chroot:
        within_chroot.create(node, b"dc1", makepath=True)
    source = open_source(f"zookeeper://{zookeeper.address}/prod{node}", {})
    found = source.read(5)
    assert isinstance(found, Content)
    assert found.text == b"dc1"


def test_a_read_tells_what_is_there(zookeeper: ZooKeeperServer, operator: KazooClient, node: str) -> None:
    """Without `start`: content with the mzxid as its version, or why there is none."""
    source = open_source(f"zookeeper://{zookeeper.address}{node}", {})
    assert source.read(5) == Missing(f"ZooKeeper has no node {node}")
    operator.create(node, b"dc1", makepath=True)
    _, stat = operator.get(node)
    assert source.read(5) == Content(b"dc1", f"{stat.mzxid:#x}")


def test_nothing_is_delivered_after_stop_and_nothing_is_left(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str
) -> None:
    """After `stop` no report comes, the server has closed the session, and no thread of ours or kazoo's is left."""
    operator.create(node, b"dc1", makepath=True)
    before = set(threading.enumerate())
    reports: list[Report] = []
    source = open_source(f"zookeeper://{zookeeper.address}{node}", {})
    source.start(reports.append)
    eventually(lambda: any(isinstance(report, Content) for report in reports), "the document")
    source.stop(5)
    seen = len(reports)
    assert set(threading.enumerate()) <= before
    operator.set(node, b"dc2")
    with zookeeper_client(zookeeper.address) as other:
        other.sync(node)
    assert len(reports) == seen
