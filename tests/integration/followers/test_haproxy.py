"""A real HAProxy with the configuration of docs/followers/haproxy.md, its weights by agent checks."""

from __future__ import annotations

import csv
import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.integration.followers.conftest import DOCUMENT, DRILL, Followed
from tests.integration.followers.pages import blocks
from tests.integration.followers.traffic import Backends, Load, User, shares_of
from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port
from tests.servers.redis.server import installed
from tests.waiting import eventually

SWITCHED = DOCUMENT.replace("shop: {split: {dc1: 90, dc2: 10}}", "shop: {active: dc2, backups: [dc1]}")


class HaProxy(ServerProcess):
    """HAProxy at `address`, with the page's configuration; `weights` asks it what its servers weigh now."""

    def __init__(self, folder: Path, agent: str, backends: Backends) -> None:
        port = free_port()
        self.address = f"{LOOPBACK}:{port}"
        self._socket = folder / "haproxy.sock"
        text = backends.placed(blocks("haproxy.md")["haproxy.cfg"]).replace("bind :80", f"bind {self.address}")
        config = folder / "haproxy.cfg"
        config.write_text(
            f"global\n    stats socket {self._socket} level admin\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n"
            + text.replace("agent-port 8404", f"agent-port {agent.rpartition(':')[2]}")
        )
        super().__init__(
            [installed("haproxy"), "-db", "-f", str(config)], ready=lambda: answers(port), log=folder / "haproxy.log"
        )

    def servers(self) -> dict[str, tuple[int, str]]:
        """Return weight and status of each server, as `show stat` has them."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self._socket))
            connection.sendall(b"show stat\n")
            data = b""
            while more := connection.recv(65536):
                data += more
        rows = csv.DictReader(data.decode().removeprefix("# ").splitlines())
        return {row["svname"]: (int(row["weight"]), row["status"]) for row in rows if row["svname"].startswith("dc")}

    def has(self, dc1: tuple[int, str], dc2: tuple[int, str]) -> bool:
        """Return whether the servers weigh this, and have this status."""
        return self.servers() == {"dc1": dc1, "dc2": dc2}


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Run the application in two datacenters."""
    with Backends(tmp_path_factory.mktemp("backends")) as backends:
        yield backends


@pytest.fixture(scope="module")
def agent() -> str:
    """Return the address at which the sidecar answers agent checks."""
    return f"{LOOPBACK}:{free_port()}"


@pytest.fixture(scope="module")
def shared_sidecar(tmp_path_factory: pytest.TempPathFactory, agent: str) -> Iterator[Followed]:
    """Run one sidecar that answers agent checks."""
    followed = Followed(tmp_path_factory.mktemp("sidecar"), "--haproxy-agent", agent)
    with followed.sidecar:
        yield followed


@pytest.fixture(scope="module")
def shared_haproxy(tmp_path_factory: pytest.TempPathFactory, agent: str, backends: Backends) -> Iterator[HaProxy]:
    """Run one HAProxy."""
    with HaProxy(tmp_path_factory.mktemp("haproxy"), agent, backends) as haproxy:
        yield haproxy


@pytest.fixture
def haproxy(shared_haproxy: HaProxy, followed: Followed) -> HaProxy:
    """Return an HAProxy that has the weights of the document that tests begin with."""
    assert followed.sidecar.running
    eventually(lambda: shared_haproxy.has((90, "UP"), (10, "UP")), "the weights of the split")
    return shared_haproxy


def test_requests_are_split_by_the_shares(haproxy: HaProxy) -> None:
    """Of 1,000 requests 90 to 10 within 2 points."""
    user = User(haproxy.address)
    shares = shares_of([user.get(f"user-{number}") for number in range(1000)])
    user.close()
    assert abs(shares["dc1"] - 0.9) < 0.02


def test_small_and_whole_shares(haproxy: HaProxy, followed: Followed) -> None:
    """A share below one percent still gets some; one that has all of it gets 100 percent, and the other is drained."""
    followed.write(DOCUMENT.replace("shop: {split: {dc1: 90, dc2: 10}}", "shop: {split: {dc1: 999, dc2: 1}}"))
    eventually(lambda: haproxy.has((100, "UP"), (1, "UP")), "the small share")
    followed.write(SWITCHED)
    eventually(lambda: haproxy.servers()["dc2"] == (100, "UP"), "the whole share")
    eventually(lambda: haproxy.servers()["dc1"][1].startswith("DRAIN"), "drain")


def test_a_drill_takes_a_datacenter_out_and_its_end_brings_it_back(haproxy: HaProxy, followed: Followed) -> None:
    """In maintenance while the drill is on; then ready again, with its share."""
    followed.write(DOCUMENT + DRILL)
    eventually(lambda: haproxy.servers()["dc1"][1].startswith("MAINT"), "maintenance")
    user = User(haproxy.address)
    assert shares_of([user.get("u1") for _ in range(100)]) == {"dc2": 1.0}
    followed.write(DOCUMENT)
    eventually(lambda: haproxy.has((90, "UP"), (10, "UP")), "the end of the drill")
    # The first requests make up for those that it missed.
    eventually(lambda: set(shares_of([user.get("u1") for _ in range(100)])) == {"dc1", "dc2"}, "requests to both")
    user.close()


@pytest.mark.timed
def test_a_switch_under_load_fails_no_request(haproxy: HaProxy, followed: Followed) -> None:
    """At 500 requests a second all are answered, and soon all by the new datacenter."""
    with Load(haproxy.address, rate=500) as load:
        eventually(lambda: len(load.served) > 300, "requests before the switch")
        began = time.monotonic()
        followed.write(SWITCHED)
        eventually(lambda: haproxy.servers()["dc1"][1].startswith("DRAIN"), "the switch")
        switched = time.monotonic()
        eventually(lambda: len([each for each in load.served if each.at > switched]) > 300, "requests after it")
    assert shares_of([each for each in load.served if each.at > switched]) == {"dc2": 1.0}
    shares_of(load.served)
    assert switched - began < 5


def test_without_the_sidecar_the_last_state_stays(haproxy: HaProxy, followed: Followed) -> None:
    """After checks that nobody answers the weights are those of before; a restart goes on from there."""
    followed.write(SWITCHED)
    eventually(lambda: haproxy.servers()["dc1"][1].startswith("DRAIN"), "the switch")
    before = haproxy.servers()
    followed.sidecar.kill()
    deadline = time.monotonic() + 2
    user = User(haproxy.address)
    served = []
    while time.monotonic() < deadline:
        served.append(user.get("u1"))
        assert haproxy.servers() == before
    user.close()
    assert shares_of(served) == {"dc2": 1.0}
    followed.sidecar.start()
    followed.write(DOCUMENT)
    eventually(lambda: haproxy.has((90, "UP"), (10, "UP")), "the weights of the restarted sidecar")


def test_status_and_metrics_show_who_follows(haproxy: HaProxy, followed: Followed) -> None:
    """Each server's check with its newest answer, and how many there are."""
    assert haproxy.running

    def followers() -> dict[str, str]:
        connection = HTTPConnection(followed.http, timeout=10)
        connection.request("GET", "/v1/status")
        found = json.loads(connection.getresponse().read())["followers"]
        connection.close()
        assert {(each["kind"], each["peer"]) for each in found} <= {("haproxy", LOOPBACK)}
        return {each["subject"]: each["answer"] for each in found}

    expected = {"shop dc1": "ready up 90%", "shop dc2": "ready up 10%"}
    eventually(lambda: followers() == expected, "the checks in the status")
    connection = HTTPConnection(followed.http, timeout=10)
    connection.request("GET", "/metrics")
    assert b'dc_sidecar_followers{kind="haproxy"} 2.0' in connection.getresponse().read()
    connection.close()
