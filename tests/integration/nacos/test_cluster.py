"""A real cluster of three Nacos with embedded storage, whose members freeze, lag and die."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from sidecar.sources import open_source
from sidecar.sources.nacos import NacosSource
from sidecar.sources.nacos.api import md5
from sidecar.sources.ordering import OrderVerdict, VersionOrder
from tests.integration.nacos.watched import Watched
from tests.servers.nacos.server import GRPC_OFFSET, NacosServer, source_url
from tests.servers.process import LOOPBACK, free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.nacos

WITHIN = 10.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NacosServer]]:
    """Run three members that have a leader and tell each other of changes; each test leaves them running."""
    folder = tmp_path_factory.mktemp("cluster")
    ports = [free_port(GRPC_OFFSET, GRPC_OFFSET + 1, -1000) for _ in range(3)]
    settings = {
        "nacos.standalone": "false",
        "embeddedStorage": "true",
        "nacos.member.list": ",".join(f"{LOOPBACK}:{port}" for port in ports),
    }
    members = [NacosServer(folder / str(port), port=port, settings=settings) for port in ports]
    with ExitStack() as stack:
        for member in members:
            member.start(wait=False)
            stack.callback(member.kill)
        with ThreadPoolExecutor(len(members)) as pool:
            list(pool.map(_join, members))
        eventually(lambda: _publishes(members[0], "leader", "yes"), "a leader", within=120, every=0.5)
        for member in members:
            _change(member, f"start-{member.port}", "yes", [], members=members)
        yield members


@pytest.mark.timeout(600)
def test_no_member_brings_an_older_text_back(cluster: list[NacosServer], key: str) -> None:
    """A member freezes and thaws with its old text, another one dies: each change is in force everywhere in 10 s."""
    first, second, third = cluster
    orders = ([first, second, third], [second, third, first], [third, first, second])
    eventually(lambda: _publishes(first, key, "dc1"), "dc1 to be published", within=60, every=0.5)
    with ExitStack() as stack:
        everybody = [stack.enter_context(Watched(source_url(order, key))) for order in orders]
        for watched in everybody:
            watched.reaches("dc1")
        first.freeze()
        _change(second, key, "dc2", everybody)
        first.thaw()
        eventually(first.operator.ready, "the member to be back", within=60)
        _change(first, key, "dc3", everybody)
        third.kill()
        _change(second, key, "dc4", everybody)
        third.start(wait=False)
        _join(third)
        _change(third, key, "dc5", everybody)
        for watched in everybody:
            assert watched.texts() == ["dc1", "dc2", "dc3", "dc4", "dc5"]


@pytest.mark.timeout(600)
def test_a_member_that_lags_is_not_believed(
    cluster: list[NacosServer], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member froze before a change, and is the first to be asked when it thaws: it answers with the text before.

    The sidecar knows from its snapshot that a newer one was in force, and another member confirms that it still is.
    """
    behind, other, _third = cluster
    verdicts: list[OrderVerdict] = []
    judge = VersionOrder.judge

    def observed(order: VersionOrder, version: str) -> OrderVerdict:
        verdicts.append(judge(order, version))
        return verdicts[-1]

    eventually(lambda: _publishes(behind, key, "dc0"), "dc0 to be published", within=60, every=0.5)
    monkeypatch.setattr(VersionOrder, "judge", observed)
    known = [md5(b"dc0")]
    for number in range(1, 11):
        eventually(lambda: behind.operator.serves(key) == f"dc{number - 1}", "the member to catch up", within=60)  # noqa: B023
        text = f"dc{number}"
        behind.freeze()
        try:
            eventually(lambda: _publishes(other, key, text), text, within=60, every=0.5)  # noqa: B023
            known.append(md5(text.encode()))
            source = open_source(source_url([behind, other], key), {})
            assert isinstance(source, NacosSource)
            source.resume(known)
            verdicts.clear()
            with Watched(source) as watched:
                time.sleep(0.5)  # The request waits in the socket of the member.
                behind.thaw()
                watched.reaches(text)
                assert watched.texts() == [text]
        finally:
            behind.thaw()
        if OrderVerdict.EARLIER in verdicts:
            return
    pytest.fail("in ten tries the member was never behind when it was asked")


@pytest.mark.timeout(600)
def test_behind_a_load_balancer_each_change_is_in_force(cluster: list[NacosServer], key: str) -> None:
    """One address stands for all members, on both ports, in turn for each connection; a member dies behind it."""
    first, second, third = cluster
    eventually(lambda: _publishes(first, key, "dc1"), "dc1 to be published", within=60, every=0.5)
    with (
        _balancer(cluster) as (http_port, grpc_port),
        Watched(f"nacos://{LOOPBACK}:{http_port.port}/dispatch/{key}") as watched,
    ):
        watched.reaches("dc1")
        watched.is_told_of(1)
        for number, member in enumerate((second, third, first), start=2):
            _change(member, key, f"dc{number}", [watched])
        for port in (http_port, grpc_port):
            port.cut()
        _change(second, key, "dc5", [watched])
        third.kill()
        try:
            _change(first, key, "dc6", [watched])
        finally:
            third.start(wait=False)
            _join(third)
        assert watched.texts() == ["dc1", "dc2", "dc3", "dc4", "dc5", "dc6"]


@pytest.mark.timeout(600)
def test_an_address_server_names_the_members(
    cluster: list[NacosServer], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads and the push go to the servers of its list; a list that changed is followed, with the push."""
    monkeypatch.setattr("sidecar.sources.nacos.directory.REFRESH_S", 1.0)
    first, second, third = cluster
    eventually(lambda: _publishes(first, key, "dc1"), "dc1 to be published", within=60, every=0.5)
    with _address_server() as addresses:
        addresses.listed = f"{third.address}\n"
        with Watched(f"nacos+endpoint://{LOOPBACK}:{addresses.server_port}/dispatch/{key}") as watched:
            watched.reaches("dc1")
            watched.is_told_of(1)
            addresses.listed = f"{first.address}\n{second.address}\n"
            third.freeze()
            try:
                _change(first, key, "dc2", [watched])
                watched.is_told_of(1)
            finally:
                third.thaw()
            assert watched.texts() == ["dc1", "dc2"]


@contextmanager
def _balancer(members: list[NacosServer]) -> Iterator[tuple[TcpProxy, TcpProxy]]:
    """Put one TCP balancer in front of the HTTP ports of all members, and one in front of their gRPC ports."""
    port = free_port(GRPC_OFFSET)
    with ExitStack() as stack:
        balancers = []
        for offset in (0, GRPC_OFFSET):
            ports = [member.port + offset for member in members]
            balancers.append(stack.enter_context(TcpProxy(ports[0], port=port + offset)))
            balancers[-1].lead_to(*ports)
        yield balancers[0], balancers[1]


class _AddressServer(http.server.ThreadingHTTPServer):
    """Answers /nacos/serverlist with `listed`."""

    listed = ""


class _List(http.server.BaseHTTPRequestHandler):
    server: _AddressServer

    def do_GET(self) -> None:
        body = self.server.listed.encode()
        self.send_response(200 if self.path == "/nacos/serverlist" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _address_server() -> Iterator[_AddressServer]:
    with _AddressServer((LOOPBACK, 0), _List) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _join(member: NacosServer) -> None:
    """Wait for a member; one that reads its database before there is a leader ends, and is started again."""
    for _ in range(3):
        try:
            member.wait_ready()
        except AssertionError:
            member.start(wait=False)
        else:
            return
    member.wait_ready()


def _change(
    member: NacosServer, key: str, text: str, everybody: list[Watched], *, members: Sequence[NacosServer] = ()
) -> None:
    """Publish at a member, which may need a new leader first; 10 s are allowed once these members serve the change.

    A member that has just come back may tell the others late, which is Nacos' own time.
    """
    eventually(lambda: _publishes(member, key, text), f"{text} to be published", within=60, every=0.5)
    for each in members:
        eventually(lambda: _serves(each, key) == text, f"{each.address} to serve {text}", within=60, every=0.1)  # noqa: B023
    published = time.monotonic()
    for watched in everybody:
        watched.reaches(text, within=max(published + WITHIN - time.monotonic(), 0.1))


def _publishes(member: NacosServer, key: str, text: str) -> bool:
    try:
        member.operator.publish(key, text)
    except (AssertionError, OSError):
        return False
    return True


def _serves(member: NacosServer, key: str) -> str:
    try:
        return member.operator.serves(key)
    except (AssertionError, OSError):
        return ""
