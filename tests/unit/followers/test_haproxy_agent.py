"""What HAProxy's agent checks are answered, and the bounds of the port."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from sidecar.errors import ConfigError
from sidecar.followers import haproxy_agent
from sidecar.followers.haproxy_agent import HaproxyAgent, agent_answer
from sidecar.followers.registry import FollowerRegistry
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, Phase
from sidecar.routing.outage import NO_WORKERS, unhealthy
from sidecar.routing.state import State
from sidecar.sources.base import Content
from sidecar.table import RoutingTable
from tests.waiting import eventually

DOCUMENT = """\
datacenters: {dc1: {}, dc2: {}, dc3: {available: false}}
default: {active: dc1, backups: [dc2]}
apps:
  split: {split: {dc1: 899, dc2: 101}}
  small: {split: {dc1: 999, dc2: 1}}
  patient: {active: dc1, backups: [dc2], failover: {after: 30s}}
  any: {active: dc3, backups: [], on_empty: any}
"""


def state(*down: str, left: str = "") -> State:
    """Return a State of the document in which datacenters are down, or the work of `patient` has left one."""
    failed = {(("patient", ""), left): FailoverState(Phase.FAILED, 0, 0, NO_WORKERS)} if left else {}
    down_now = dict.fromkeys(down, unhealthy(NO_WORKERS))
    return State(parse_document(DOCUMENT.encode()), 1, 0, unhealthy=down_now, failover_states=failed)


@pytest.mark.parametrize(
    ("now", "app", "expected"),
    [
        (state(), "split", ("ready up 90%", "ready up 10%", "maint")),
        (state(), "small", ("ready up 100%", "ready up 1%", "maint")),
        (state(), "unnamed", ("ready up 100%", "drain", "maint")),
        (state("dc1"), "unnamed", ("maint", "ready up 100%", "maint")),
        (state(left="dc1"), "patient", ("drain", "ready up 100%", "maint")),
        (state(), "any", ("ready up 100%", "ready up 100%", "maint")),
    ],
)
def test_the_answer_follows_the_shares(now: State, app: str, expected: tuple[str, ...]) -> None:
    """A weight where there is a share, drain in service without one, maint out of service; each ends an earlier one."""
    assert tuple(agent_answer(now, app, name) for name in ("dc1", "dc2", "dc3")) == expected


@pytest.fixture
def table() -> Iterator[RoutingTable]:
    """Run a table without a document."""
    table = RoutingTable()
    table.start()
    yield table
    table.stop(5)


def check(address: str, line: bytes) -> bytes:
    """Return what an agent check that sends this line is answered."""
    host, _, port = address.removeprefix("haproxy-agent://").rpartition(":")
    # A connection that is closed with unread bytes is reset.
    with suppress(ConnectionResetError), socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(line)
        return connection.makefile("rb").read()
    return b""


def test_checks_that_cannot_be_answered_get_nothing(table: RoutingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a document, for lines of another form, and for a line that does not come: HAProxy keeps its state."""
    monkeypatch.setattr(haproxy_agent, "REQUEST_S", 0.2)
    registry = FollowerRegistry()
    agent = HaproxyAgent(table, registry, "127.0.0.1:0")
    address = agent.start()
    try:
        assert check(address, b"split dc1\n") == b""
        table.deliver(Content(DOCUMENT.encode(), "1"))
        eventually(lambda: check(address, b"split dc1\n") == b"ready up 90%\n", "the document")
        assert check(address, b"my app  dc1 \r\n") == b"ready up 100%\n"
        for line in (
            b"\n",
            b"split\n",
            b"split dc 1!\n",
            b"\xff dc1\n",
            b"a" * 257 + b" dc1\n",
            b"a" * 4096,
            b"split dc",
        ):
            assert check(address, line) == b"", line
        assert [each.subject for each in registry.all()] == ["my app dc1", "split dc1"]
    finally:
        agent.stop(5)
    with pytest.raises(OSError, match="refused"):
        check(address, b"split dc1\n")


def test_connections_are_bounded(table: RoutingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the bound is closed at once, and those that say nothing make room in time."""
    monkeypatch.setattr(haproxy_agent, "MOST", 3)
    monkeypatch.setattr(haproxy_agent, "REQUEST_S", 1.0)
    table.deliver(Content(DOCUMENT.encode(), "1"))
    agent = HaproxyAgent(table, FollowerRegistry(), "127.0.0.1:0")
    address = agent.start()
    host, _, port = address.removeprefix("haproxy-agent://").rpartition(":")
    try:
        eventually(lambda: check(address, b"split dc1\n"), "an answer")
        with ExitStack() as idle:
            for _ in range(3):
                idle.enter_context(socket.create_connection((host, int(port)), timeout=5))
            assert check(address, b"split dc1\n") == b""
            eventually(lambda: check(address, b"split dc1\n"), "room")
    finally:
        agent.stop(5)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("0.0.0.0:0", "expected a loopback address, or --allow-plaintext"),
        ("unix:/run/agent", "expected host:port"),
        ("no.such.host.invalid:1", "cannot listen there"),
    ],
)
def test_an_address_that_cannot_be_is_refused(table: RoutingTable, address: str, complaint: str) -> None:
    """Other than loopback only with --allow-plaintext, and with the remedy named."""
    with pytest.raises(ConfigError, match=complaint):
        HaproxyAgent(table, FollowerRegistry(), address).start()


def test_a_stop_before_the_start_or_right_after_it_ends(table: RoutingTable) -> None:
    """Whichever comes first."""
    HaproxyAgent(table, FollowerRegistry(), "127.0.0.1:0").stop(5)
    agent = HaproxyAgent(table, FollowerRegistry(), "127.0.0.1:0")
    agent.start()
    agent.stop(5)
    assert not agent._thread.is_alive()
