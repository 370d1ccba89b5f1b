"""What is shown of the clients of xDS."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from sidecar.followers.registry import Follower, FollowerKind
from sidecar.followers.xds_clients import Rejection, Subscription, XdsClient
from sidecar.xds.clients import Clients
from sidecar.xds.kinds import Kind

CLIENT = XdsClient(
    node="edge-1",
    cluster="edge",
    agent="envoy 1.40.0",
    address="ipv4:127.0.0.1:1",
    protocol="sotw",
    connected=True,
    since_ns=1,
    seen_ns=1,
)


def named(number: int) -> XdsClient:
    """Return a client of another node."""
    return replace(CLIENT, node=f"edge-{number}")


def test_client_that_left_stays_until_it_is_back() -> None:
    """It is shown once: as connected by its newest stream, or else as one that left."""
    clients = Clients()
    clients.report("first", CLIENT)
    clients.report("second", CLIENT)
    clients.leave("first")
    assert [each.connected for each in clients.all()] == [True]
    clients.leave("second")
    assert [each.connected for each in clients.all()] == [False]
    clients.report("third", CLIENT)
    assert [each.connected for each in clients.all()] == [True]


def test_those_that_left_are_bounded() -> None:
    """Of many that left the last hundred are shown; a stream that never sent anything is not."""
    clients = Clients()
    for number in range(150):
        clients.report(number, named(number))
    for number in range(150):
        clients.leave(number)
    clients.leave("unknown")
    assert [each.node for each in clients.all()] == [f"edge-{number}" for number in range(50, 150)]


def test_rejections_are_logged_with_backoff(caplog: pytest.LogCaptureFixture) -> None:
    """The first is logged, of many in a row few, with the number of the others; after a long pause the next at once."""
    now = [0.0]
    clients = Clients(clock=lambda: now[0])

    def reject() -> None:
        clients.log_rejection(Kind.ROUTES, CLIENT, "v1", "no cluster x")

    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            reject()
        assert len(caplog.messages) == 1
        assert "edge-1 at ipv4:127.0.0.1:1 rejects version v1 of its RDS resources" in caplog.messages[0]
        assert caplog.messages[0].endswith("no cluster x")
        now[0] = 2.0
        reject()
        assert caplog.messages[1].endswith("(99 more were not logged)")
        clients.log_rejection(Kind.RUNTIME, CLIENT, "v1", "of another type")
        assert len(caplog.messages) == 3
        now[0] += 601.0
        reject()
        now[0] += 1.3
        reject()
    assert len(caplog.messages) == 5


def test_responses_are_counted_by_type_and_outcome() -> None:
    """As the metrics show them."""
    clients = Clients()
    clients.count(Kind.ROUTES, "sent")
    clients.count(Kind.ROUTES, "sent")
    clients.count(Kind.RUNTIME, "rejected")
    assert dict(clients.shown.responses()) == {("RDS", "sent"): 2, ("RTDS", "rejected"): 1}


def test_clients_are_followers() -> None:
    """The page lists each type of each client: with what it acknowledged, or with its rejection; the times are true."""
    clients = Clients(wall_clock=lambda: 9)
    taken = Subscription(type="RDS", names=("a", "b"), count=2, sent="v2", acknowledged="v1")
    rejected = replace(taken, type="RTDS", rejection=Rejection("v2", "no cluster x", 5))
    clients.report("first", replace(CLIENT, subscriptions=(taken, rejected)))
    clients.report("second", replace(named(2), subscriptions=(taken,)))
    clients.leave("second")
    place = "ipv4:127.0.0.1:1"
    assert clients.followers() == (
        Follower(FollowerKind.XDS, f"edge-1 {place}", "RDS a b", "v1", 9),
        Follower(FollowerKind.XDS, f"edge-1 {place}", "RTDS a b", "rejected: no cluster x", 9),
        Follower(FollowerKind.XDS, f"edge-2 {place}", "RDS a b", "v1", 1),
    )
