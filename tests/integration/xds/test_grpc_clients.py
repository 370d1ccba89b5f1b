"""Real gRPC clients, of Python and Go, find an application by xds:///billing with the files of docs/followers/grpc.md.

Both call all the time, so each test is one of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import pytest

from tests.integration.xds.conftest import DATACENTERS, DOCUMENT, Served
from tests.integration.xds.grpc_clients import ADDRESSES, CLIENTS, Backend, GrpcClient, endpoints, failures, now_ns
from tests.waiting import eventually

DC1 = DATACENTERS + "default: {active: dc1, backups: [dc2]}\n"
DC2 = DATACENTERS + "default: {active: dc2, backups: [dc1]}\n"
DRILL = 'drills: [{datacenter: dc1, until: "2126-01-01T00:00:00Z", reason: Q4 drill}]\n'
IN_DC1 = ("dc1", "dc1-second")


class Site:
    """A sidecar with the page's file of endpoints, the servers in it, and both clients."""

    def __init__(self, folder: Path) -> None:
        self.backends = {name: Backend(name, folder) for name in ADDRESSES}
        self.endpoints = folder / "endpoints.yaml"
        self.write(endpoints(self.backends))
        self.served = Served(folder, DOCUMENT, "--xds-endpoints", str(self.endpoints))
        self.clients = [GrpcClient(kind, folder, self.served.port) for kind in CLIENTS]

    def write(self, text: str) -> None:
        """Put a file of endpoints in place, whole."""
        new = self.endpoints.with_suffix(".new")
        new.write_text(text)
        new.replace(self.endpoints)

    def settled(self, *servers: str, within: float = 20) -> None:
        """Wait until both clients reach these servers, and no others."""
        for client in self.clients:
            what = f"{client.node} reaches {', '.join(servers)} only"
            eventually(lambda client=client: client.reaches(*servers), what, within=within, every=0.05)  # type: ignore[misc]

    def subscription(self, node: str, kind: str) -> dict[str, object]:
        return self.served.subscription(node, kind)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run one for all tests."""
    site = Site(tmp_path_factory.mktemp("grpc"))
    parts = (site.served.process, *site.backends.values(), *site.clients)
    try:
        for part in parts:
            part.start()
        yield site
    finally:
        for part in reversed(parts):
            part.kill()
        site.served.process.__exit__()


@pytest.fixture
def site(shared_site: Site) -> Site:
    """Return it with everything running and all calls going to dc1."""
    for part in (shared_site.served.process, *shared_site.backends.values()):
        if not part.running:
            part.start()
    shared_site.write(endpoints(shared_site.backends))
    shared_site.served.put(DC1)
    shared_site.settled(*IN_DC1)
    return shared_site


def test_split(site: Site) -> None:
    """Of 2000 calls of each client a datacenter gets its share of 90:10, within the noise; its endpoints the same."""
    site.served.put(DOCUMENT)
    with ThreadPoolExecutor() as pool:
        for calls in pool.map(lambda client: client.count(2000), site.clients):
            assert failures(calls) == []
            assert len(calls) == 2000
            # Four standard deviations.
            assert sum(each.datacenter == "dc2" for each in calls) / 2000 == pytest.approx(0.1, abs=0.027)
            first, second = (sum(each.server == name for each in calls) for name in IN_DC1)
            assert first == pytest.approx(second, rel=0.1)


@pytest.mark.timed
def test_switch_under_load(site: Site) -> None:
    """No call fails at switches, and the first call to the new datacenter is soon after the rename."""
    began = now_ns()
    took: dict[str, list[float]] = {client.node: [] for client in site.clients}
    for target, document in (("dc2", DC2), ("dc1", DC1)) * 3:
        renamed = now_ns()
        site.served.write(document)
        for client in site.clients:

            def moved(client: GrpcClient = client, since: int = renamed, to: str = target) -> bool:
                calls = client.since(since)
                return len(calls) > 50 and all(each.datacenter == to for each in calls[-40:])

            eventually(moved, f"{client.node} has moved to {target}", every=0.05)
            first = next(each.at_ns for each in client.since(renamed) if each.datacenter == target)
            took[client.node].append((first - renamed) / 1e6)
    for client in site.clients:
        assert failures(client.since(began)) == []
        figures = took[client.node]
        print(f"\n{client.node}: first call {median(figures):.0f} ms after the rename (worst {max(figures):.0f} ms)")
        assert median(figures) < 250


def test_drill(site: Site) -> None:
    """A drill takes a datacenter out, and its end brings it back; no call fails."""
    began = now_ns()
    site.served.put(DC1 + DRILL)
    site.settled("dc2")
    site.served.put(DC1)
    site.settled(*IN_DC1)
    assert [failures(client.since(began)) for client in site.clients] == [[], []]


def test_loss_of_the_servers(site: Site) -> None:
    """Clients go to the backup by themselves, and return; not to a backup that is marked out of service."""
    began = now_ns()
    for name in IN_DC1:
        site.backends[name].kill()
    site.settled("dc2")
    for client in site.clients:
        calls = client.since(began)
        took = (next(each.at_ns for each in calls if each.datacenter == "dc2") - began) / 1e6
        print(f"\n{client.node}: first call to the backup {took:.0f} ms after the loss, {len(failures(calls))} failed")
        # Calls that were under way on the connections that broke.
        assert len(failures(calls)) <= 2
    site.served.put(DC1.replace("dc2: {}", "dc2: {available: false}"))
    for client in site.clients:

        def refused(client: GrpcClient = client) -> bool:
            return all(each.error.upper().startswith("UNAVAILABLE") for each in client.calls[-40:])

        eventually(refused, f"{client.node} has nobody left", every=0.05)
    for name in IN_DC1:
        site.backends[name].start()
    site.settled(*IN_DC1, within=40)


def test_without_the_sidecar_clients_keep_what_they_have(site: Site) -> None:
    """No call fails while it is away and when it is back, and then its document counts."""
    began = now_ns()
    site.served.process.kill()
    site.served.write(DC2)
    gone = now_ns()
    for client in site.clients:
        eventually(lambda client=client: len(client.since(gone)) > 100, "calls without a sidecar", every=0.05)  # type: ignore[misc]
        assert {each.datacenter for each in client.since(gone)} == {"dc1"}
    site.served.process.start()
    site.settled("dc2", within=40)
    assert [failures(client.since(began)) for client in site.clients] == [[], []]


def test_endpoints_are_followed(site: Site) -> None:
    """A change of the file moves calls without a failed one; a bad file is shown and changes nothing."""
    began = now_ns()
    text = endpoints(site.backends)
    before = _endpoints(site)
    assert before["problem"] == ""
    assert "dc_sidecar_xds_endpoints_refused 0.0" in site.served.metrics()
    site.write(text.replace(site.backends["dc1"].address, "backend.example:8000"))
    eventually(lambda: _endpoints(site)["problem"], "the problem is shown")
    assert "'backend.example:8000', expected an IP address" in str(_endpoints(site)["problem"])
    assert _endpoints(site)["revision"] == before["revision"]
    assert "dc_sidecar_xds_endpoints_refused 1.0" in site.served.metrics()
    site.write("\n".join(line for line in text.splitlines() if site.backends["dc1"].address not in line))
    site.settled("dc1-second")
    assert _endpoints(site)["problem"] == ""
    assert [failures(client.since(began)) for client in site.clients] == [[], []]


def test_clients_are_shown(site: Site) -> None:
    """Status and page data have each type that a client subscribed to, with the version that it acknowledged."""
    version = _version(site)
    for client, agent in zip(site.clients, ("gRPC C-core", "gRPC Go"), strict=True):
        for kind, name in (("LDS", "billing"), ("RDS", "billing/*"), ("CDS", "billing/dc1"), ("EDS", "billing/dc1")):
            found = site.subscription(client.node, kind)
            assert name in found["names"]  # type: ignore[operator]
            assert found["acknowledged"] == found["sent"] != ""
            assert found["rejection"] is None

        def newest(node: str = client.node) -> bool:
            return site.subscription(node, "RDS")["acknowledged"] == version()

        eventually(newest, "the newest routes")
        known = site.served.client(client.node)
        assert known is not None
        assert known["agent"].startswith(agent)
    with urlopen(f"http://{site.served.http}/v1/status") as answer:
        followers = json.load(answer)["followers"]
    for client in site.clients:
        subjects = {each["subject"].split()[0] for each in followers if each["peer"].startswith(client.node)}
        assert subjects == {"LDS", "RDS", "CDS", "EDS"}


def _version(site: Site) -> Callable[[], str]:
    def version() -> str:
        status = site.served.process.status()
        return f"{status.revision}.{status.generation}.{_endpoints(site)['revision']}"

    return version


def _endpoints(site: Site) -> dict[str, object]:
    with urlopen(f"http://{site.served.http}/v1/xds") as answer:
        found: dict[str, object] = json.load(answer)["endpoints"]
        return found
