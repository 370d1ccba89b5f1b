"""The rules of both variants of xDS: versions, nonces, acknowledgements, rejections, changing subscriptions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from sidecar.errors import BadRequest, PermissionRefused
from sidecar.followers.xds_clients import Subscription, XdsClient
from sidecar.routing.failover import Observation
from sidecar.trust.callers import Permit
from sidecar.trust.policy import CallerRule
from sidecar.view import View
from sidecar.xds.clients import Clients
from sidecar.xds.resources import Kind, Resources
from sidecar.xds.session import DeltaSession, WorldSession, XdsSession
from sidecar.xds.settings import XdsSettings
from tests.views import NOTHING, view

URL = Kind.ROUTES.value
ROUTES = "default: dc1\napps: {a: dc1, b: dc1, c: dc1}\n"
# Only `a` differs.
CHANGED = "default: dc1\napps: {a: dc2, b: dc1, c: dc1}\n"


class Table:
    """A table whose view a test sets."""

    def __init__(self, announced: View) -> None:
        self.view = self.announced = announced

    def subscribe(self, listener: Callable[[View, View], None]) -> None:
        """Take no listener: a test asks itself."""

    def observe(self, observation: Observation) -> None:
        """Take no observation."""


class Stream:
    """A session with a client that speaks for a test; `read` returns the next response, None if there is none."""

    def __init__(self, kind: type[XdsSession] = WorldSession, text: str = ROUTES) -> None:
        self.table = Table(view(text))
        self.clients = Clients()
        self.session = kind(self.table, Resources(XdsSettings()), self.clients, "ipv4:127.0.0.1:1", clock=lambda: 7)
        self._response: Any = (
            discovery_pb2.DiscoveryResponse if kind is WorldSession else discovery_pb2.DeltaDiscoveryResponse
        )

    def put(self, text: str, generation: int) -> None:
        self.table.announced = view(text, generation=generation)

    def read(self) -> Any:  # noqa: ANN401 - the messages have no types
        update = self.session.update()
        return None if update is None else self._response.FromString(update)

    def world(self, *names: str, nonce: str = "", error: str = "", url: str = URL) -> None:
        request = discovery_pb2.DiscoveryRequest(type_url=url, resource_names=names, response_nonce=nonce)
        if error:
            request.error_detail.message = error
        self.session.receive(request.SerializeToString())

    def delta(self, *names: str, nonce: str = "", error: str = "", **more: Any) -> None:  # noqa: ANN401 - fields
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=URL, resource_names_subscribe=names, response_nonce=nonce, **more
        )
        if error:
            request.error_detail.message = error
        self.session.receive(request.SerializeToString())

    @property
    def follower(self) -> XdsClient:
        """The client as it is shown."""
        return self.clients.all()[0]

    @property
    def shown(self) -> Subscription:
        """The subscription as it is shown."""
        (found,) = self.follower.subscriptions
        return found


def names(response: Any) -> list[str]:  # noqa: ANN401 - the messages have no types
    """Return the names of the resources in a response of the state of the world."""
    found = (resource.value for resource in response.resources)
    # Field 1 of a RouteConfiguration: tag, length, name.
    return [value[2 : 2 + value[1]].decode() for value in found]


def test_a_change_is_sent_once() -> None:
    """What was subscribed to is sent, with the State's version, and again where it changes: not another resource."""
    stream = Stream()
    stream.world("a", "b")
    first = stream.read()
    assert (names(first), first.type_url) == (["a", "b"], URL)
    assert first.version_info == f"{stream.table.announced.state.document.revision}.1"  # type: ignore[union-attr]
    assert stream.read() is None
    stream.put(CHANGED, 2)
    second = stream.read()
    assert names(second) == ["a"]
    assert second.version_info.endswith(".2")
    assert second.nonce != first.nonce
    assert stream.read() is None
    stream.put(CHANGED + "# a comment\n", 3)
    assert stream.read() is None


def test_only_the_newest_is_sent() -> None:
    """States that came and went while the client did not read are not sent."""
    stream = Stream()
    stream.world("a")
    stream.read()
    stream.put(CHANGED, 2)
    stream.put(ROUTES, 3)
    assert stream.read() is None


def test_nothing_is_sent_without_a_document() -> None:
    """An empty answer would be an order to drop what the client has."""
    stream = Stream()
    stream.table.announced = NOTHING
    stream.world("a")
    assert stream.read() is None


def test_acknowledgement() -> None:
    """The version acknowledged is shown, with the time; an acknowledgement brings nothing new."""
    stream = Stream()
    stream.world("a")
    response = stream.read()
    assert (stream.shown.sent, stream.shown.acknowledged) == (response.version_info, "")
    stream.world("a", nonce=response.nonce)
    assert (stream.shown.acknowledged, stream.shown.acknowledged_at_ns) == (response.version_info, 7)
    assert stream.read() is None
    assert dict(stream.clients.responses.totals()) == {("RDS", "sent"): 1, ("RDS", "acknowledged"): 1}


@pytest.mark.parametrize("kind", [WorldSession, DeltaSession])
def test_rejection(kind: type[XdsSession]) -> None:
    """What is rejected is not sent again before it changes; the rejection is shown until then."""
    stream = Stream(kind)
    ask = stream.world if kind is WorldSession else stream.delta
    ask("a", "b")
    first = stream.read()
    again = ("a", "b") if kind is WorldSession else ()
    ask(*again, nonce=first.nonce, error="no such cluster")
    assert stream.read() is None
    rejection = stream.shown.rejection
    assert rejection is not None
    assert rejection.message == "no such cluster"
    assert rejection.version == stream.shown.sent
    assert stream.shown.acknowledged == ""
    stream.put(CHANGED, 2)
    second = stream.read()
    ask(*again, nonce=second.nonce)
    # Of the two that were rejected, one is still not taken.
    assert stream.shown.rejection == rejection
    stream.put(CHANGED.replace("b: dc1", "b: dc2"), 3)
    ask(*again, nonce=stream.read().nonce)
    assert stream.shown.rejection is None


def test_stale_request_changes_no_subscription() -> None:
    """A request that crossed a newer response is not what the client wants now; its answer counts all the same."""
    stream = Stream()
    stream.world("a")
    first = stream.read()
    stream.put(CHANGED, 2)
    second = stream.read()
    stream.world("b", nonce=first.nonce, error="no such cluster")
    assert stream.shown.names == ("a",)
    assert stream.shown.rejection is not None
    stream.world("b", nonce=second.nonce)
    assert names(stream.read()) == ["b"]


def test_subscriptions_change() -> None:
    """A name that is added is sent, one that is there is not, and one that left and came back is."""
    stream = Stream()
    stream.world("a")
    nonce = stream.read().nonce
    stream.world("a", "b", nonce=nonce)
    response = stream.read()
    assert names(response) == ["b"]
    stream.world("b", nonce=response.nonce)
    assert stream.read() is None
    stream.world("a", "b", nonce=response.nonce)
    assert names(stream.read()) == ["a"]


def test_types_have_nonces_of_their_own() -> None:
    """An answer to one type is none to the other, and both are sent."""
    stream = Stream()
    stream.world("a")
    stream.world("a", url=Kind.RUNTIME.value)
    found = [stream.read(), stream.read()]
    assert {response.type_url for response in found} == {URL, Kind.RUNTIME.value}
    assert stream.read() is None


def test_delta_sends_names_and_versions() -> None:
    """Each resource has its name and a version of its own; removed names are sent no more."""
    stream = Stream(DeltaSession)
    stream.delta("a", "b")
    response = stream.read()
    versions = {resource.name: resource.version for resource in response.resources}
    assert versions.keys() == {"a", "b"}
    assert response.system_version_info.endswith(".1")
    stream.delta(nonce=response.nonce, resource_names_unsubscribe=["a", "unknown"])
    stream.put(CHANGED, 2)
    assert stream.read() is None
    stream.delta("a")
    assert [resource.name for resource in stream.read().resources] == ["a"]


def test_delta_does_not_repeat_what_a_client_has() -> None:
    """A client that comes back names the versions that it has, and is sent only what differs; asked again, it is."""
    before = Stream(DeltaSession)
    before.delta("a", "b")
    versions = {resource.name: resource.version for resource in before.read().resources}
    stream = Stream(DeltaSession, CHANGED)
    stream.delta("a", "b", initial_resource_versions=versions)
    assert [resource.name for resource in stream.read().resources] == ["a"]
    stream.delta("b")
    assert [resource.name for resource in stream.read().resources] == ["b"]


def test_nonce_of_an_earlier_stream_is_no_answer() -> None:
    """The first request of a stream subscribes, whatever nonce it has."""
    stream = Stream()
    stream.world("a", nonce="7")
    assert names(stream.read()) == ["a"]
    assert stream.shown.acknowledged == ""


def test_client_is_shown_by_its_node() -> None:
    """Node, cluster and release are those of the first request, bounded; the times are of the last."""
    stream = Stream()
    request = discovery_pb2.DiscoveryRequest(type_url=URL, resource_names=["a"])
    request.node.id, request.node.cluster, request.node.user_agent_name = "x" * 1000, "edge", "envoy"
    request.node.user_agent_build_version.version.major_number = 1
    request.node.user_agent_build_version.version.minor_number = 40
    stream.session.receive(request.SerializeToString())
    stream.world("a")
    assert (stream.follower.node, stream.follower.cluster) == ("x" * 256, "edge")
    assert (stream.follower.agent, stream.follower.protocol) == ("envoy 1.40.0", "sotw")
    stream.session.close()
    assert not stream.follower.connected


def test_unknown_types_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """They get no answer: an empty one could remove the client's clusters."""
    stream = Stream()
    url = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    with caplog.at_level(logging.WARNING):
        stream.world(url=url)
        stream.world(url=url)
    assert stream.read() is None
    assert len(caplog.messages) == 1
    assert url in caplog.messages[0]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"\xff", "that are no envoy.service.discovery.v3.DiscoveryRequest"),
        (b"\x0a" * (512 * 1024 + 1), "expected at most 524288"),
    ],
)
def test_bad_requests_are_refused(request_: bytes, message: str) -> None:
    """What is no message, and what is too large, ends the stream."""
    with pytest.raises(BadRequest, match=message):
        Stream().session.receive(request_)


def test_permit_bounds_the_applications() -> None:
    """A client may subscribe to the applications of its rule only; the error names the one that is not."""
    permit = Permit("token:edge", CallerRule(name="edges", match=("token:edge",), apps=("a", "b*")))
    request = discovery_pb2.DiscoveryRequest(type_url=URL, resource_names=["a", "b1"])
    Stream().session.receive(request.SerializeToString(), permit=permit)
    request.resource_names.append("c")
    with pytest.raises(PermissionRefused, match="may not ask about the application 'c'"):
        Stream().session.receive(request.SerializeToString(), permit=permit)


def test_names_are_bounded() -> None:
    """Over many requests too."""
    stream = Stream(DeltaSession)
    stream.delta(*(f"a{number}" for number in range(1000)))
    with pytest.raises(BadRequest, match="found 1001 names, expected at most 1000"):
        stream.delta("one-more")
    with pytest.raises(BadRequest, match="expected the name of an application"):
        Stream().world("a\nb")
