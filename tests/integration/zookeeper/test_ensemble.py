"""An ensemble of three: what it loses, and what a member shows that lags behind; decisions run all along."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar.lifecycle import SourceState
from sidecar.sources.zookeeper.session import NodeState, ZooKeeperSession
from tests.integration.zookeeper.conftest import AFTER_RETURN, NODE, Serve, change
from tests.servers.process import free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client, zookeeper_ensemble
from tests.waiting import eventually


@pytest.mark.timed
def test_an_ensemble_loses_members(tmp_path: Path, serve: Serve) -> None:
    """All down at the start, then each of three killed and frozen in turn: changes are followed, never backwards."""
    with ExitStack() as stack:
        servers = stack.enter_context(zookeeper_ensemble(tmp_path))
        change(servers[0], "dc0", *servers[1:])
        for server in servers:
            server.kill()
        serving = serve(f"zookeeper://{','.join(server.address for server in servers)}{NODE}")
        eventually(lambda: "Connection refused" in serving.error, "the reason")
        assert serving.state is SourceState.CONNECTING
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait_ready()
        serving.decides_for("dc0", AFTER_RETURN)
        number = 0
        for broken in servers:
            others = [server for server in servers if server is not broken]
            for fault, mend in ((broken.kill, broken.start), (broken.freeze, broken.thaw)):
                fault()
                # The two that are left elect a leader where it was the leader that broke; the operator waits for that.
                for _ in range(5):
                    number += 1
                    change(others[0], f"dc{number}", others[1])
                serving.decides_for(f"dc{number}", AFTER_RETURN)
                mend()
                broken.wait_ready()
        serving.is_in(SourceState.SYNCED)
    numbers = [int(name[2:]) for name in serving.history]
    assert numbers == sorted(numbers)


@pytest.mark.timed
def test_a_lagging_follower_brings_nothing_back(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new client comes to a follower that the newest change has not reached: its older text is seen, not believed."""
    shown: list[bytes | None] = []
    read_node = ZooKeeperSession.read_node

    def noted(session: ZooKeeperSession, timeout: float, *, watch: bool = False) -> NodeState:
        view = read_node(session, timeout, watch=watch)
        shown.append(view.data)
        return view

    monkeypatch.setattr(ZooKeeperSession, "read_node", noted)
    bases = [free_port(1) for _ in range(3)]
    members = [f"127.0.0.1:{base}:{base + 1}" for base in bases]
    # Sessions of the whole ensemble are opened by the leader, after all changes before; local ones are not.
    settings = {"localSessionsEnabled": "true", "syncLimit": "20"}
    with TcpProxy(bases[2]) as link, ExitStack() as stack:
        lagging = [*members[:2], f"127.0.0.1:{link.port}:{bases[2] + 1}"]
        servers = [
            ZooKeeperServer(tmp_path / str(number), members=known, number=number, settings=settings)
            for number, known in enumerate((lagging, members, members), start=1)
        ]
        follower, other, leader = servers
        # Of the first two, the one with the higher number is elected.
        for starting in ((other, leader), (follower,)):
            for server in starting:
                stack.callback(server.kill)
                server.start(wait=False)
            for server in starting:
                server.wait_ready()
        assert "Mode: leader" in leader.ask("srvr")
        proxy = stack.enter_context(TcpProxy(leader.port))
        operator = stack.enter_context(zookeeper_client(leader.address))
        operator.create(NODE, b"dc1")
        serving = serve(f"zookeeper://127.0.0.1:{proxy.port}{NODE}")
        serving.decides_for("dc1")
        link.delay(0.8)
        operator.set(NODE, b"dc2")
        serving.decides_for("dc2", 1)
        seen = len(shown)
        proxy.lead_to(follower.port)
        assert serving.source._watch is not None
        serving.source._watch._session.close()
        serving.source._watch._wake.set()
        eventually(lambda: b"dc1" in shown[seen:], "the older text, shown by the follower", within=5)
        eventually(lambda: b"dc2" in shown[seen:], "the newer text, shown by the follower", within=10)
        link.delay(0)
        operator.set(NODE, b"dc3")
        serving.decides_for("dc3")
    assert serving.history == ["dc1", "dc2", "dc3"]
