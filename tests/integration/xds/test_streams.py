"""Many streams on one sidecar, by light clients: real Envoys are in test_envoy.py, and a hundred would not fit here."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.xds.kinds import Kind
from tests.harness import Caller
from tests.integration.xds.conftest import Served
from tests.waiting import eventually

APPS = 10_000
STREAMS = 100
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService"


def document(target: str) -> str:
    """Return a document of many applications, of which the first ten serve from `target`."""
    apps = "\n".join(f"  app-{number}: {target if number < 10 else 'dc1'}" for number in range(APPS))
    return f"datacenters: {{dc1: {{}}, dc2: {{}}}}\ndefault: dc1\napps:\n{apps}\n"


class LightClient:
    """One stream of the state of the world; it acknowledges what it reads, or does not read."""

    def __init__(self, channel: grpc.Channel, node: str) -> None:
        self.versions: list[str] = []
        self.resources: dict[str, bytes] = {}
        self._node = node
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        method = channel.stream_stream(f"{ADS}/StreamAggregatedResources", None, None)
        self._call: Any = method(iter(self._requests.get, None))

    def subscribe(self, kind: Kind, *names: str, version: str = "", nonce: str = "", error: str = "") -> None:
        request = messages.DiscoveryRequest(
            node=messages.Node(id=self._node, user_agent_name="light"),
            type_url=kind.value,
            resource_names=names,
            version_info=version,
            response_nonce=nonce,
        )
        if error:
            request.error_detail.message = error
        self._requests.put(request.SerializeToString())

    def read(self) -> Any:  # noqa: ANN401 - the messages have no types
        """Return the next response, without acknowledging it."""
        return messages.DiscoveryResponse.FromString(next(self._call))

    def follow(self, kind: Kind, *names: str) -> None:
        """Acknowledge responses on a thread, until the end of the stream."""
        self.subscribe(kind, *names)

        def run() -> None:
            try:
                while True:
                    response = self.read()
                    for resource in response.resources:
                        name = messages.Runtime.FromString(resource.value).name
                        self.resources[name] = resource.value
                    self.versions.append(response.version_info)
                    self.subscribe(kind, *names, version=response.version_info, nonce=response.nonce)
            except (grpc.RpcError, StopIteration):
                pass

        threading.Thread(target=run, daemon=True).start()

    def error(self) -> grpc.StatusCode:
        """Return the status that the stream ends with."""
        code: grpc.StatusCode = self._call.code()
        return code

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()


@pytest.fixture(scope="module")
def shared_big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run a sidecar with 10,000 applications."""
    served = Served(tmp_path_factory.mktemp("big"), document("dc1"))
    with served.process:
        yield served


@pytest.fixture
def big(shared_big: Served) -> Served:
    """Return a sidecar with 10,000 applications, all in dc1."""
    shared_big.put(document("dc1"))
    return shared_big


@pytest.fixture
def channels(big: Served) -> Iterator[list[grpc.Channel]]:
    """Return connections as so many Envoys have them."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    opened = [grpc.insecure_channel(big.process.address, options) for _ in range(STREAMS)]
    yield opened
    for channel in opened:
        channel.close()


def test_many_streams(big: Served, channels: list[grpc.Channel]) -> None:
    """A hundred streams get what they subscribed to of 10,000 applications, a change of it, and no other change.

    Decisions are answered meanwhile.
    """
    clients = [LightClient(channel, f"light-{number}") for number, channel in enumerate(channels)]
    with Caller(big.process.address, app="app-1") as caller:
        caller.until(lambda answer: answer.datacenter == "dc1", "the first decision")
        # On a busy machine its first attempts to connect may fail.
        caller.failures.clear()
        for number, client in enumerate(clients):
            # Half of them follow applications that the change below concerns.
            names = ("app-1", "app-2", "app-3") if number % 2 else ("app-500", "app-501")
            client.follow(Kind.RUNTIME, *names)
        eventually(lambda: all(len(client.versions) == 1 for client in clients), "the first responses", within=30)
        big.write(document("dc2"))
        caller.until(lambda answer: answer.datacenter == "dc2", "the switch")
        eventually(lambda: all(len(client.versions) == 2 for client in clients[1::2]), "the change", within=30)
        caller.no_failures()
    weights = messages.Runtime.FromString(clients[1].resources["app-2"]).layer.fields
    assert weights["dc.app-2.dc2"].number_value == 1_000_000_000
    assert weights["dc.app-2.dc1"].number_value == 0
    assert {len(client.versions) for client in clients[::2]} == {1}
    eventually(lambda: len([each for each in big.clients() if each["connected"]]) == STREAMS, "all are shown")
    for client in clients:
        client.close()
    eventually(lambda: not any(each["connected"] for each in big.clients()), "all have left")
    assert len(big.clients()) == STREAMS


def test_client_that_does_not_read(big: Served, channels: list[grpc.Channel]) -> None:
    """A client that reads nothing over many changes then gets little, and last what is newest; others do not wait."""
    slow, quick = LightClient(channels[0], "slow"), LightClient(channels[1], "quick")
    names = [f"app-{number}" for number in range(1000)]
    # Some 200 KiB in each response: more than one fits into no window.
    slow.subscribe(Kind.ROUTES, *names)
    quick.follow(Kind.RUNTIME, "app-1")
    eventually(lambda: quick.versions, "its first response")
    for target in ("dc2", "dc1") * 3:
        before = len(quick.versions)
        big.put("datacenters: {dc1: {}, dc2: {}}\ndefault: " + target + "\n")
        eventually(lambda before=before: len(quick.versions) > before, "the quick one has the change")  # type: ignore[misc]
    newest = big.process.status().revision
    read = 0
    while not slow.read().version_info.startswith(newest):
        read += 1
    assert read < 5
    slow.close()
    quick.close()


def test_rejected_content_is_not_sent_again(big: Served, channels: list[grpc.Channel]) -> None:
    """After a rejection comes nothing until the resource changes, while another one comes at once."""
    client = LightClient(channels[0], "picky")
    client.subscribe(Kind.ROUTES, "app-1")
    first = client.read()
    client.subscribe(Kind.ROUTES, "app-1", nonce=first.nonce, error="no such cluster")
    client.subscribe(Kind.RUNTIME, "app-1")
    assert client.read().type_url == Kind.RUNTIME.value
    eventually(lambda: big.subscription("picky", "RDS")["rejection"], "the rejection")
    big.put(document("dc2"))
    found = {client.read().type_url, client.read().type_url}
    assert found == {Kind.ROUTES.value, Kind.RUNTIME.value}
    client.close()


@pytest.mark.parametrize("names", [["x" * 257], ["a\nb"], [f"app-{number}" for number in range(1001)]])
def test_subscriptions_are_bounded(names: list[str], channels: list[grpc.Channel]) -> None:
    """Too many names, and what cannot be the name of an application, end the stream."""
    client = LightClient(channels[0], "greedy")
    client.subscribe(Kind.ROUTES, *names)
    assert client.error() is grpc.StatusCode.INVALID_ARGUMENT
    client.close()


def test_no_document(tmp_path: Path) -> None:
    """While there is no document nothing is sent; the first one is, and the end of the sidecar ends the stream."""
    served = Served(tmp_path)
    served.document.unlink()
    process = served.process
    process._ready = process._answers
    with process, grpc.insecure_channel(process.address) as channel:
        client = LightClient(channel, "early")
        client.subscribe(Kind.ROUTES, "billing")
        eventually(lambda: served.client("early"), "it is connected")
        assert served.subscription("early", "RDS")["sent"] == ""
        served.write("dc1\n")
        routes = messages.RouteConfiguration.FromString(client.read().resources[0].value)
        assert routes.name == "billing"
        process.end()
        assert client.error() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("rule", "name", "code"),
    [
        ("{name: edges, match: [anonymous], apps: [app-1]}", "app-1", None),
        ("{name: edges, match: [anonymous], apps: [app-1]}", "app-2", grpc.StatusCode.PERMISSION_DENIED),
        ("{name: all, match: [anonymous], calls: [GetStatus]}", "app-1", grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_policy(tmp_path: Path, rule: str, name: str, code: grpc.StatusCode | None) -> None:
    """A client gets the applications of its rule, and nothing where its rule does not have the call."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"callers: [{rule}]\n")
    served = Served(tmp_path, "dc1\n", "--policy", str(policy))
    with served.process, grpc.insecure_channel(served.process.address) as channel:
        client = LightClient(channel, "edge")
        client.subscribe(Kind.RUNTIME, name)
        if code is None:
            assert len(client.read().resources) == 1
        else:
            assert client.error() is code
        client.close()
