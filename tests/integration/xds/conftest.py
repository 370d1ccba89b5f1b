"""A sidecar that serves xDS, datacenters that answer HTTP, and Envoys with the bootstraps of the page on Envoy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from sidecar.routing.document import parse_document
from tests.harness import SidecarProcess
from tests.integration.xds.upstreams import Upstreams, count, served_by
from tests.servers.envoy import EnvoyProcess
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]
_NAMED = re.compile(r"^<!-- (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

DATACENTERS = "datacenters: {dc1: {}, dc2: {}}\n"
DOCUMENT = DATACENTERS + "default: {active: dc1, backups: [dc2]}\napps: {billing: {split: {dc1: 90, dc2: 10}}}\n"


def blocks() -> dict[str, str]:
    """Return the named blocks of the page as they stand there."""
    return dict(_NAMED.findall((ROOT / "docs/followers/envoy.md").read_text(encoding="utf-8")))


class Served:
    """A sidecar with xDS at `port` and HTTP at `http`, and its document."""

    def __init__(self, folder: Path, document: str = DOCUMENT, *arguments: str, port: int = 0) -> None:
        self.document = folder / "routing.yaml"
        self.write(document)
        self.port = port or free_port()
        self.http = f"{LOOPBACK}:{free_port()}"
        listen = f"{LOOPBACK}:{self.port}"
        flags = ("--http", self.http, "--xds", *arguments)
        self.process = SidecarProcess(f"file:{self.document}", *flags, folder=folder, listen=listen)

    def write(self, text: str) -> None:
        """Put a document in place, whole."""
        new = self.document.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.document)

    def put(self, text: str) -> None:
        """Put a document in place, and wait until it decides."""
        self.write(text)
        revision = parse_document(text.encode()).revision
        eventually(lambda: self.process.status().revision == revision, "the document is in force")

    def clients(self) -> list[dict[str, Any]]:
        with urlopen(f"http://{self.http}/v1/xds") as answer:
            found: list[dict[str, Any]] = json.load(answer)["clients"]
            return found

    def client(self, node: str) -> dict[str, Any] | None:
        """Return what is known of a node, None for nothing."""
        return next((each for each in self.clients() if each["node"] == node), None)

    def subscription(self, node: str, kind: str) -> dict[str, Any]:
        """Return what a connected node is known to have of a type, nothing if it is not connected."""
        for each in self.clients():
            if each["node"] == node and each["connected"]:
                for subscription in each["subscriptions"]:
                    if subscription["type"] == kind:
                        found: dict[str, Any] = subscription
                        return found
        return {}

    def metrics(self) -> str:
        with urlopen(f"http://{self.http}/metrics") as answer:
            return str(answer.read().decode())


class Envoy(EnvoyProcess):
    """A real Envoy with a bootstrap of the page, the addresses replaced; it serves HTTP at `port`."""

    def __init__(self, folder: Path, bootstrap: str, *, sidecar: int, upstreams: Upstreams) -> None:
        self.port, self.admin = free_port(), free_port()
        ports = {
            "127.0.0.1, port_value: 9901": self.admin,
            "127.0.0.1, port_value: 10000": self.port,
            "127.0.0.1, port_value: 50051": sidecar,
            "10.1.0.10, port_value: 8080": upstreams.ports["dc1"],
            "10.2.0.10, port_value: 8080": upstreams.ports["dc2"],
        }
        replacements = {f"address: {was}": f"address: 127.0.0.1, port_value: {port}" for was, port in ports.items()}
        super().__init__(folder, bootstrap, replacements, ready=lambda: served_by(self.port) != "")

    def runtime(self) -> dict[str, str]:
        """Return the final values of Envoy's runtime keys."""
        with urlopen(f"http://{LOOPBACK}:{self.admin}/runtime") as answer:
            return {key: value["final_value"] for key, value in json.load(answer)["entries"].items()}


@pytest.fixture(scope="package")
def upstreams() -> Iterator[Upstreams]:
    """Run a server for each datacenter."""
    with Upstreams("dc1", "dc2") as found:
        yield found


@pytest.fixture(scope="package")
def shared_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one sidecar for all tests."""
    served = Served(tmp_path_factory.mktemp("sidecar"))
    with served.process:
        yield served


@pytest.fixture(scope="package", params=["envoy-runtime.yaml", "envoy-routes.yaml"])
def shared_envoy(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_sidecar: Served,
    upstreams: Upstreams,
) -> Iterator[Envoy]:
    """Run one Envoy with each bootstrap."""
    bootstrap = blocks()[request.param]
    folder = tmp_path_factory.mktemp("envoy")
    with Envoy(folder, bootstrap, sidecar=shared_sidecar.port, upstreams=upstreams) as envoy:
        yield envoy


@pytest.fixture
def served(shared_sidecar: Served) -> Served:
    """Return the sidecar with the document that tests begin with: billing is split 90:10 over dc1 and dc2."""
    if not shared_sidecar.process.running:
        shared_sidecar.process.start()
    shared_sidecar.put(DOCUMENT)
    return shared_sidecar


@pytest.fixture
def envoy(shared_envoy: Envoy, served: Served) -> Envoy:
    """Return an Envoy that has the sidecar's document: each test runs with weights (RTDS) and with routes (RDS)."""
    assert served.process.running
    if not shared_envoy.running:
        shared_envoy.start()
    eventually(lambda: {"dc1", "dc2"} <= count_of(shared_envoy), "the split of the first document", within=40)
    return shared_envoy


def count_of(envoy: Envoy) -> set[str]:
    """Return who answers 60 requests."""
    return {*count(envoy.port, 60)}
