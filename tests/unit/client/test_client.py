import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sidecar.client import FilterResult, Reason, RoutingClient, SidecarUnreachable, SourceState, Tls, TooSlow, Worker
from sidecar.errors import BadRequest, ConfigError, NotServing
from tests.unit.client.conftest import Sidecar
from tests.waiting import eventually

WORKERS = (Worker("10.1.0.1:1", "dc1"), Worker("10.2.0.1:1", metrics="dc2"), Worker("10.1.0.2:1", "dc1"))
PATIENT_S = 20.0


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[RoutingClient]:
    """Connect a client that is patient with a loaded machine."""
    with RoutingClient(sidecar.address, timeout=PATIENT_S) as connected:
        yield connected


@pytest.fixture
def silent() -> Iterator[str]:
    """Give an address where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def _caching(client: RoutingClient) -> None:
    eventually(lambda: client.caching, "the client follows the sidecar")


def test_filter_gives_the_decision_as_a_value(sidecar: Sidecar, client: RoutingClient) -> None:
    """Selected candidates come in the request's order, with why, by which document, and how fresh it is."""
    sidecar.serve("default: {active: dc1, backups: [dc2]}")
    result = client.filter("billing", job="7", candidates=WORKERS)
    assert result.addresses == ("10.1.0.1:1", "10.1.0.2:1")
    assert result.indices == (0, 2)
    assert (result.datacenter, result.reason, result.generation) == ("dc1", Reason.ACTIVE, 1)
    assert len(result.revision) == 12
    assert not result.stale


def test_filter_knows_an_application_by_its_other_names(sidecar: Sidecar, client: RoutingClient) -> None:
    """An alias that the document names is the application that is decided for."""
    sidecar.serve("default: dc1\napps: {billing: dc2}")
    assert client.filter("7", aliases=["billing"], candidates=WORKERS).datacenter == "dc2"


def test_route_and_status(sidecar: Sidecar, client: RoutingClient) -> None:
    """The route has weights and backups in the document's order; the status says what is served."""
    sidecar.serve(
        "default: {split: {dc1: 3, dc2: 1}, backups: [dc3]}\ndatacenters: {dc1: {available: false}, dc2: {}, dc3: {}}"
    )
    route = client.route("billing")
    assert route.weights == (("dc1", 3.0), ("dc2", 1.0))
    assert (route.backups, route.unavailable, route.app) == (("dc3",), ("dc1",), "")
    status = client.status()
    assert (status.source, status.source_state) == ("file:test", SourceState.SYNCED)
    assert status.revision == route.revision


def test_watch_yields_now_and_each_change(sidecar: Sidecar, client: RoutingClient) -> None:
    """The first update is what holds, the next one what holds after a change, as the applications asked for."""
    sidecar.serve("default: dc1\napps: {a: dc2, b: dc3}")
    updates = client.watch(["b"])
    first = next(updates)
    assert [route.app for route in first.routes] == ["b"]
    sidecar.serve("default: dc2")
    second = next(updates)
    assert second.generation > first.generation
    assert second.default.weights == (("dc2", 1.0),)
    updates.close()  # type: ignore[attr-defined]  # a generator, which ends its stream


def test_answers_come_from_memory_until_the_generation_moves(sidecar: Sidecar, client: RoutingClient) -> None:
    """A repeated request is answered from the cache, and by a call again after a change."""
    sidecar.serve("dc1")
    _caching(client)
    first = eventually(lambda: _remembered(client), "an answer from memory")
    assert first is not None
    assert first.datacenter == "dc1"
    sidecar.serve("dc2")
    eventually(lambda: client.filter("a", candidates=WORKERS).datacenter == "dc2", "the answer after the change")


def _remembered(client: RoutingClient) -> FilterResult | None:
    first = client.filter("a", candidates=WORKERS)
    return first if client.filter("a", candidates=WORKERS) is first else None


def test_nothing_comes_from_memory_once_the_sidecar_is_gone(sidecar: Sidecar, client: RoutingClient) -> None:
    """When the stream breaks, remembered answers are dropped: the question is an error again, and heals by itself."""
    sidecar.serve("dc1")
    _caching(client)
    eventually(lambda: _remembered(client), "an answer from memory")
    sidecar.end()
    eventually(lambda: not client.caching, "the client noticed")
    with pytest.raises(NotServing):
        client.filter("a", candidates=WORKERS)
    sidecar.begin()
    sidecar.serve("dc2")
    _caching(client)
    assert client.filter("a", candidates=WORKERS).datacenter == "dc2"


def test_without_a_cache_nothing_follows(sidecar: Sidecar) -> None:
    """A client without a cache asks each time, and has no thread."""
    sidecar.serve("dc1")
    before = threading.active_count()
    with RoutingClient(sidecar.address, timeout=PATIENT_S, cache_size=0) as client:
        first = client.filter("a", candidates=WORKERS)
        assert client.filter("a", candidates=WORKERS) is not first
        assert not client.caching
        assert not [thread for thread in threading.enumerate()[before:] if thread.name == "watch-routes"]


def test_many_threads_share_a_client(sidecar: Sidecar, client: RoutingClient) -> None:
    """While documents change, threads get answers that are whole: datacenter and addresses belong together."""
    sidecar.serve("dc1")
    expected = {"dc1": ("10.1.0.1:1", "10.1.0.2:1"), "dc2": ("10.2.0.1:1",)}

    def ask(number: int) -> bool:
        result = client.filter(f"app-{number % 5}", candidates=WORKERS)
        return result.addresses == expected[result.datacenter]

    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(ask, number) for number in range(400)]
        for number in range(10):
            sidecar.serve(f"dc{number % 2 + 1}")
        assert all(answer.result() for answer in answers)


def test_before_there_is_a_document(client: RoutingClient) -> None:
    """A decision is NotServing, in the sidecar's words; the status answers."""
    with pytest.raises(NotServing, match="no routing document yet"):
        client.filter("a", candidates=WORKERS)
    assert client.status().source_state is SourceState.CONNECTING


def test_bad_request_names_the_field(sidecar: Sidecar, client: RoutingClient) -> None:
    """What breaks a bound is BadRequest, and says which field."""
    sidecar.serve("dc1")
    with pytest.raises(BadRequest) as caught:
        client.filter("a" * 300, candidates=WORKERS)
    assert caught.value.field == "app"


def test_nobody_there(tmp_path: Path) -> None:
    """An address that nothing listens on is SidecarUnreachable, at once, with address and reason."""
    with (
        RoutingClient(f"unix:{tmp_path}/none.sock", timeout=PATIENT_S) as client,
        pytest.raises(SidecarUnreachable, match=r"none\.sock: no sidecar answers there \(No such file or directory\)"),
    ):
        client.status()


def test_hanging_sidecar_costs_no_more_than_the_deadline(silent: str) -> None:
    """A server that accepts the connection and never responds is TooSlow after the deadline, which is named."""
    began = time.monotonic()
    with RoutingClient(silent, timeout=0.3) as client, pytest.raises(TooSlow, match=r"no answer within 0\.3 s"):
        client.status()
    assert time.monotonic() - began < 10


def test_closing_a_client_whose_sidecar_hangs(silent: str) -> None:
    """Closing ends the thread that follows, whatever the sidecar does."""
    client = RoutingClient(silent, timeout=0.1)
    client.close()
    eventually(lambda: "watch-routes" not in {thread.name for thread in threading.enumerate()}, "the thread has ended")


@pytest.mark.parametrize(
    ("target", "tls", "message"),
    [
        ("nonsense", None, "expected host:port"),
        ("unix:/run/x", Tls(), "no TLS on Unix sockets"),
        ("127.0.0.1:1", Tls(cert=Path("client.pem")), "expected both or none"),
        ("127.0.0.1:1", Tls(ca=Path("/nowhere/ca.pem")), "/nowhere/ca.pem: cannot be read"),
    ],
)
def test_connection_that_cannot_be(target: str, tls: Tls | None, message: str) -> None:
    """What cannot be meant is a ConfigError before anything is sent."""
    with pytest.raises(ConfigError, match=message):
        RoutingClient(target, tls=tls)
