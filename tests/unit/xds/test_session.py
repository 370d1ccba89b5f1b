"""The rules of both variants of xDS: versions, nonces, acknowledgements, rejections, changing subscriptions."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from sidecar.errors import BadRequest, PermissionRefused
from sidecar.followers.xds_clients import Subscription, XdsClient
from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.trust.callers import Permit
from sidecar.trust.policy import CallerRule
from sidecar.xds.clients import Clients
from sidecar.xds.endpoints import Endpoint, Endpoints
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import FOR_ENVOY, Kind
from sidecar.xds.resources import Resources
from sidecar.xds.session import DeltaSession, WorldSession, XdsSession
from sidecar.xds.settings import XdsSettings
from tests.views import NOTHING, view

URL = Kind.ROUTES.value
ROUTES = "default: dc1\napps: {a: dc1, b: dc1, c: dc1}\n"
# Only `a` differs.
CHANGED = "default: dc1\napps: {a: dc2, b: dc1, c: dc1}\n"


class Stream:
    """A session with a client that speaks for a test; `read` returns the next response, None if there is none."""

    def __init__(
        self, kind: type[XdsSession] = WorldSession, text: str = ROUTES, *, endpoints: Endpoints | None = None
    ) -> None:
        self.state = view(text).state
        self.endpoints = endpoints
        self.clients = Clients()
        kinds = FOR_ENVOY if endpoints is None else tuple(Kind)
        self.session = kind(
            self._inputs, Resources(XdsSettings()), self.clients, "ipv4:127.0.0.1:1", kinds=kinds, clock=lambda: 7
        )
        self._response: Any = messages.DiscoveryResponse if kind is WorldSession else messages.DeltaDiscoveryResponse

    def put(self, text: str, generation: int) -> None:
        self.state = view(text, generation=generation).state

    def _inputs(self) -> Inputs | None:
        return None if self.state is None else Inputs(self.state, self.endpoints)

    def read(self) -> Any:  # noqa: ANN401 - the messages have no types
        update = self.session.update()
        return None if update is None else self._response.FromString(update)

    def world(self, *names: str, nonce: str = "", error: str = "", url: str = URL) -> None:
        request = messages.DiscoveryRequest(type_url=url, resource_names=names, response_nonce=nonce)
        if error:
            request.error_detail.message = error
        self.session.receive(request.SerializeToString())

    def delta(self, *names: str, nonce: str = "", error: str = "", **more: Any) -> None:  # noqa: ANN401 - fields
        request = messages.DeltaDiscoveryRequest(
            resource_names_subscribe=names, response_nonce=nonce, **{"type_url": URL, **more}
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
    assert first.version_info == f"{stream.state.document.revision}.1"  # type: ignore[union-attr]
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
    stream.state = NOTHING.state
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
    request = messages.DiscoveryRequest(type_url=URL, resource_names=["a"])
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
        (b"\xff", "that are no dcsidecar.xds.DiscoveryRequest"),
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
    request = messages.DiscoveryRequest(type_url=URL, resource_names=["a", "b1"])
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


ENDPOINTS = Endpoints("e1", {"a": {"dc1": (Endpoint("10.1.0.20", 8000),), "dc2": (Endpoint("10.2.0.20", 8000),)}})


def test_types_for_grpc_clients_need_endpoints(caplog: pytest.LogCaptureFixture) -> None:
    """Without a file a listener gets no answer, and the log says what is missing."""
    stream = Stream()
    with caplog.at_level(logging.WARNING):
        stream.world("a", url=Kind.LISTENERS.value)
    assert stream.read() is None
    assert caplog.messages[0].endswith("gRPC clients need --xds-endpoints")


def test_listeners_and_clusters_are_sent_whole() -> None:
    """A response of the state of the world has those that the client has already: it would drop them else."""
    stream = Stream(endpoints=ENDPOINTS)
    stream.world("a", url=Kind.LISTENERS.value)
    first = stream.read()
    assert names(first) == ["a"]
    stream.world("a", "b", nonce=first.nonce, url=Kind.LISTENERS.value)
    second = stream.read()
    assert names(second) == ["a", "b"]
    stream.put(CHANGED, 2)
    assert stream.read() is None
    delta = Stream(DeltaSession, endpoints=ENDPOINTS)
    delta.delta("a", type_url=Kind.LISTENERS.value)
    delta.read()
    delta.delta("b", type_url=Kind.LISTENERS.value)
    assert [resource.name for resource in delta.read().resources] == ["b"]


@pytest.mark.parametrize("kind", [WorldSession, DeltaSession])
def test_client_that_wants_all_clusters_gets_none(kind: type[XdsSession], caplog: pytest.LogCaptureFixture) -> None:
    """An Envoy that gets its clusters by ADS would drop what it has: no answer, and a warning."""
    stream = Stream(kind, endpoints=ENDPOINTS)
    with caplog.at_level(logging.WARNING):
        if kind is WorldSession:
            stream.world(url=Kind.CLUSTERS.value)
        else:
            stream.delta(type_url=Kind.CLUSTERS.value)
    assert stream.read() is None
    assert "CDS by names" in caplog.messages[0]


def test_new_endpoints_are_sent() -> None:
    """Where the file changes, and nothing else: the version says so."""
    stream = Stream(endpoints=ENDPOINTS)
    stream.world("a/dc1", url=Kind.ENDPOINTS.value)
    first = stream.read()
    stream.endpoints = Endpoints("e2", {"a": {"dc1": (Endpoint("10.1.0.21", 8000),)}})
    second = stream.read()
    assert (first.version_info.rpartition(".")[2], second.version_info.rpartition(".")[2]) == ("e1", "e2")
    assert stream.read() is None


def test_large_endpoints_are_sent_in_several_responses() -> None:
    """Each below what clients take."""
    many = tuple(Endpoint(f"10.1.{number // 250}.{number % 250}", 8000) for number in range(1000))
    wanted = [f"app-{number}/dc1" for number in range(100)]
    stream = Stream(endpoints=Endpoints("e1", {f"app-{number}": {"dc1": many} for number in range(100)}))
    stream.world(*wanted, url=Kind.ENDPOINTS.value)
    responses = []
    while (response := stream.read()) is not None:
        responses.append(response)
    assert len(responses) > 1
    assert max(response.ByteSize() for response in responses) < 2 * 2**20
    assert [name for response in responses for name in names(response)] == wanted


def test_names_that_no_cluster_has_are_not_answered() -> None:
    """Such as those of an Envoy with clusters of its own."""
    stream = Stream(endpoints=ENDPOINTS)
    stream.world("billing-dc1", url=Kind.ENDPOINTS.value)
    assert stream.read() is None


def test_permit_is_for_the_application_of_a_cluster() -> None:
    """Whatever the type of the resource."""
    permit = Permit("token:edge", CallerRule(name="edges", match=("token:edge",), apps=("a",)))
    for kind, name in (
        (Kind.LISTENERS, "{}"),
        (Kind.ROUTES, "{}/*"),
        (Kind.CLUSTERS, "{}/dc1"),
        (Kind.ENDPOINTS, "{}/x"),
    ):
        request = messages.DiscoveryRequest(type_url=kind.value, resource_names=[name.format("a")])
        Stream(endpoints=ENDPOINTS).session.receive(request.SerializeToString(), permit=permit)
        request.resource_names.append(name.format("c"))
        with pytest.raises(PermissionRefused, match="may not ask about the application 'c'"):
            Stream(endpoints=ENDPOINTS).session.receive(request.SerializeToString(), permit=permit)
