"""The sidecar as a process before a real ZooKeeper that breaks, schedulers calling all along: no call fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from kazoo.client import KazooClient
from kazoo.security import ACL, AUTH_IDS, Permissions

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.harness import Caller, SidecarProcess, code_of, details_of
from tests.integration.zookeeper.conftest import AFTER_RETURN
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client, zookeeper_ensemble
from tests.waiting import eventually

_NODE = "/dc-sidecar/routing"


def _write(hosts: str, datacenter: str) -> None:
    with zookeeper_client(hosts) as operator:
        operator.ensure_path(_NODE)
        operator.set(_NODE, datacenter.encode())


def _is_in(sidecar: SidecarProcess, state: pb.SourceState) -> pb.SidecarStatus:
    eventually(lambda: sidecar.status().source_state == state, pb.SourceState.Name(state))
    return sidecar.status()


def _all_follow(callers: Sequence[Caller], datacenter: str) -> None:
    """Wait, for all of them together, until each has a fresh answer that names the datacenter."""
    deadline = time.monotonic() + AFTER_RETURN
    for caller in callers:
        left = max(0.0, deadline - time.monotonic())
        caller.until(lambda answer: answer.datacenter == datacenter and not answer.stale, datacenter, within=left)


@pytest.mark.timed
def test_one_fault_after_the_other(tmp_path: Path) -> None:
    """Killed, partitioned until the session is over, frozen: stale while it lasts, the change soon after it."""
    with ZooKeeperServer(tmp_path / "server") as server, TcpProxy(server.port) as proxy, ExitStack() as stack:
        _write(server.address, "dc1")
        source = f"zookeeper://127.0.0.1:{proxy.port}{_NODE}"
        sidecar = stack.enter_context(SidecarProcess(source, folder=tmp_path))
        caller = stack.enter_context(Caller(sidecar.address))
        assert sidecar.status().source == source

        server.kill()
        caller.until(lambda answer: answer.stale, "stale answers", within=2)
        assert "cannot be reached" in _is_in(sidecar, pb.SOURCE_STATE_DISCONNECTED).source_error
        server.start()
        _write(server.address, "dc2")
        caller.until(lambda answer: answer.datacenter == "dc2" and not answer.stale, "dc2", within=AFTER_RETURN)

        sessions = server.ask("dump").count("\t0x")
        assert sessions == 1, server.ask("dump")
        proxy.drop()
        eventually(lambda: "\t0x" not in server.ask("dump"), "the end of the session")
        _is_in(sidecar, pb.SOURCE_STATE_DISCONNECTED)
        _write(server.address, "dc3")
        proxy.forward()
        caller.until(lambda answer: answer.datacenter == "dc3" and not answer.stale, "dc3", within=AFTER_RETURN)

        server.freeze()
        caller.until(lambda answer: answer.stale, "stale answers", within=5)
        server.thaw()
        _write(server.address, "dc1")
        caller.until(lambda answer: answer.datacenter == "dc1" and not answer.stale, "dc1", within=AFTER_RETURN)
        _is_in(sidecar, pb.SOURCE_STATE_SYNCED)

        caller.stop()
        caller.no_failures()
        assert caller.datacenters() == ["dc1", "dc2", "dc3", "dc1"]


@pytest.mark.timed
def test_an_ensemble_under_load(tmp_path: Path) -> None:
    """Four schedulers; the leader killed, a follower frozen, all restarted: every change is followed in order."""
    with zookeeper_ensemble(tmp_path) as servers, ExitStack() as stack:
        hosts = ",".join(server.address for server in servers)
        _write(hosts, "dc1")
        sidecar = stack.enter_context(SidecarProcess(f"zookeeper://{hosts}{_NODE}", folder=tmp_path))
        callers = [stack.enter_context(Caller(sidecar.address)) for _ in range(4)]
        leader = next(server for server in servers if "Mode: leader" in server.ask("srvr"))
        follower = next(server for server in servers if server is not leader)
        rest = [server for server in servers if server is not leader]

        leader.kill()
        _write(",".join(server.address for server in rest), "dc2")
        _all_follow(callers, "dc2")
        leader.start()

        follower.freeze()
        _write(",".join(server.address for server in servers if server is not follower), "dc3")
        _all_follow(callers, "dc3")
        follower.thaw()

        for server in servers:
            server.kill()
        _is_in(sidecar, pb.SOURCE_STATE_DISCONNECTED)
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait_ready()
        _write(hosts, "dc1")
        _all_follow(callers, "dc1")

        for caller in callers:
            caller.stop()
            caller.no_failures()
            assert caller.datacenters() == ["dc1", "dc2", "dc3", "dc1"]


@pytest.mark.timed
def test_all_away_at_the_start(tmp_path: Path) -> None:
    """Calls get UNAVAILABLE with the reason until the server comes up; then the document decides."""
    server = ZooKeeperServer(tmp_path / "server")
    with server:
        _write(server.address, "dc1")
    source = f"zookeeper://{server.address}{_NODE}"
    with SidecarProcess(source, folder=tmp_path, wait_for_document=False) as sidecar:
        status = sidecar.status()
        assert status.source_state == pb.SOURCE_STATE_CONNECTING
        eventually(lambda: "Connection refused" in sidecar.status().source_error, "the reason")
        with pytest.raises(grpc.RpcError) as refused:
            sidecar.filter()
        assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE
        assert server.address in details_of(refused.value)
        with server:
            eventually(lambda: sidecar.status().revision, "the document", within=AFTER_RETURN)
            assert sidecar.filter().datacenter == "dc1"
            _is_in(sidecar, pb.SOURCE_STATE_SYNCED)


@pytest.mark.timed
def test_ends_in_time_while_the_server_is_frozen(tmp_path: Path) -> None:
    """SIGTERM is answered by exit status 0 within the grace period, though ZooKeeper does not answer a word."""
    with ZooKeeperServer(tmp_path / "server") as server:
        _write(server.address, "dc1")
        source = f"zookeeper://{server.address}{_NODE}"
        with SidecarProcess(source, "--grace", "4s", folder=tmp_path) as sidecar:
            server.freeze()
            began = time.monotonic()
            assert sidecar.end(within=10) == 0
            assert time.monotonic() - began < 6


def test_credentials_come_from_a_file(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, tmp_path: Path
) -> None:
    """A node for one digest user is served with the password of a file, which stands in no log and no status."""
    password = tmp_path / "password"
    password.write_text("r3ad-s3cret\n")
    with zookeeper_client(zookeeper.address, auth_data=[("digest", "reader:r3ad-s3cret")]) as owner:
        operator.ensure_path(node.rpartition("/")[0])
        owner.create(node, b"dc1", acl=[ACL(Permissions.ALL, AUTH_IDS)])
    env = {"DC_SIDECAR_ZOOKEEPER_USERNAME": "reader", "DC_SIDECAR_ZOOKEEPER_PASSWORD_FILE": str(password)}
    source = f"zookeeper://{zookeeper.address}{node}"
    with SidecarProcess(source, "--log-level", "debug", folder=tmp_path, env=env) as sidecar:
        assert sidecar.filter().datacenter == "dc1"
        assert "s3cret" not in str(sidecar.status())
        assert "s3cret" not in sidecar.log_text()
