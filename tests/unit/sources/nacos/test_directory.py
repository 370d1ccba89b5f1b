"""The list of servers that an address server gives, against one that answers as the test says."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sidecar.errors import SourceError
from sidecar.sources.nacos import directory
from sidecar.sources.nacos.api import FoundConfig, NacosApi
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.directory import ServerDirectory
from sidecar.sources.nacos.url import NacosAddress, parse
from tests.servers.process import free_port


@dataclass
class AddressServer:
    """A server of lists, and of one key beside them: it is a Nacos 2 too."""

    port: int
    status: int = 200
    listed: str = ""
    asked: list[str] = field(default_factory=list)

    def directory(self, query: str = "") -> ServerDirectory:
        return ServerDirectory(parse(f"nacos+endpoint://127.0.0.1:{self.port}/dispatch/routing{query}"))


@pytest.fixture
def addresses() -> Iterator[AddressServer]:
    """Run an address server that lists what the test says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path
            known.asked.append(path)
            lists = "/serverlist" in path
            body = (known.listed if lists else "dc1").encode()
            status = known.status if lists else 404 if "/v3/" in path else 200
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known = AddressServer(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield known
        server.shutdown()


def test_a_list_names_a_server_per_line(addresses: AddressServer) -> None:
    """As Nacos's own clients read it: the port is 8848 where there is none, blank lines count for nothing."""
    addresses.listed = "n1:8848\r\n\nn2\nn1:8848\n"
    assert addresses.directory().servers(5) == (NacosAddress("n1", 8848), NacosAddress("n2", 8848))
    assert addresses.asked == ["/nacos/serverlist"]
    addresses.directory("?namespace=prod&context=x").servers(5)
    assert addresses.asked[-1] == "/x/serverlist?namespace=prod"


def test_servers_of_a_url_need_no_address_server() -> None:
    """They are as the URL names them, always."""
    target = parse("nacos://n1,n2/g/d")
    assert ServerDirectory(target).servers(0) == target.servers


def test_a_list_is_asked_for_again_and_the_last_one_stays_meanwhile(
    addresses: AddressServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 30 s it is not asked again; then a new list counts, and a failure changes nothing."""
    now = 1000.0
    monkeypatch.setattr("sidecar.sources.nacos.directory.time.monotonic", lambda: now)
    addresses.listed = "n1"
    found = addresses.directory()
    assert found.servers(5) == (NacosAddress("n1", 8848),)
    addresses.listed = "n2"
    assert found.servers(5) == (NacosAddress("n1", 8848),)
    now += directory.REFRESH_S
    assert found.servers(5) == (NacosAddress("n2", 8848),)
    now += directory.REFRESH_S
    addresses.status = 503
    assert found.servers(5) == (NacosAddress("n2", 8848),)
    asked = len(addresses.asked)
    found.servers(5)
    assert len(addresses.asked) == asked


@pytest.mark.parametrize(
    ("status", "listed", "complaint"),
    [
        (404, "n1", r"answers /nacos/serverlist with status 404"),
        (200, "", "lists 0 servers"),
        (200, "<html>", "not one of servers"),
        (200, "\n".join(f"n{number}" for number in range(129)), "lists 129 servers"),
    ],
)
def test_without_a_list_the_error_names_the_address_server(
    addresses: AddressServer, status: int, listed: str, complaint: str
) -> None:
    """No list, an empty one, something else, too long a one: each is said, and asked for again at the next call."""
    addresses.status, addresses.listed = status, listed
    found = addresses.directory()
    with pytest.raises(SourceError, match=complaint) as caught:
        found.servers(5)
    assert f"127.0.0.1:{addresses.port}" in str(caught.value)
    addresses.status, addresses.listed = 200, "n1"
    assert found.servers(5) == (NacosAddress("n1", 8848),)


def test_nobody_there_is_said_to_be_the_address_server() -> None:
    """The remedy is not to look for a Nacos there."""
    target = parse(f"nacos+endpoint://127.0.0.1:{free_port()}/g/d")
    with pytest.raises(SourceError, match="refuses the connection: is the address server running there"):
        NacosApi(target, NacosCredentials({}), None).read(5)


def test_when_no_listed_server_answers_the_list_is_asked_for_at_once(addresses: AddressServer) -> None:
    """A cluster that moved is found at the next read, not 30 s later; the push gets the servers of now."""
    addresses.listed = f"127.0.0.1:{free_port(1000)}"
    api = NacosApi(parse(f"nacos+endpoint://127.0.0.1:{addresses.port}/dispatch/routing"), NacosCredentials({}), None)
    with pytest.raises(SourceError, match="refuses the connection"):
        api.read(5)
    addresses.listed = f"127.0.0.1:{addresses.port}"
    found = api.read(5)
    assert isinstance(found, FoundConfig)
    assert found.text == b"dc1"
    assert api.served.servers == (NacosAddress("127.0.0.1", addresses.port),)
    api.close()
