"""A real Envoy and real gRPC clients connect by mutual TLS, with what the pages of docs/followers say about it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.harness import SidecarProcess
from tests.integration.xds.conftest import DATACENTERS, Envoy, blocks
from tests.integration.xds.grpc_clients import CLIENTS, PAGE, Backend, command, parsed
from tests.integration.xds.upstreams import Upstreams, served_by
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

NAME = "    - name: dc-sidecar\n"
POLICY = """\
callers:
  - {name: edges, match: ["dns:edge.example"], calls: [xds], apps: [billing]}
  - {name: local, match: [unix]}
"""


class Secured(SidecarProcess):
    """A sidecar with mutual TLS on `port`, which lets in edge.example; the files of both sides are in `folder`."""

    def __init__(self, folder: Path, document: str, *flags: str) -> None:
        authority = Authority()
        (folder / "ca.crt").write_bytes(authority.pem)
        for name, dns in (("sidecar", ("sidecar.example", "localhost")), ("edge", ("edge.example",))):
            leaf = authority.issue(dns=dns)
            (folder / f"{name}.crt").write_bytes(leaf.pem)
            (folder / f"{name}.key").write_bytes(leaf.key)
        (folder / "policy.yaml").write_text(POLICY)
        self.document = folder / "routing.yaml"
        self.document.write_text(document)
        self.port = free_port()
        files = {
            "tls-cert": "sidecar.crt",
            "tls-key": "sidecar.key",
            "tls-client-ca": "ca.crt",
            "policy": "policy.yaml",
        }
        given = [word for option, file in files.items() for word in (f"--{option}", str(folder / file))]
        listen = ("--listen", f"{LOOPBACK}:{self.port}")
        super().__init__(f"file:{self.document}", *listen, "--xds", *given, *flags, folder=folder)


@pytest.mark.parametrize("page", ["envoy-runtime.yaml", "envoy-routes.yaml"])
def test_envoy(page: str, tmp_path: Path, upstreams: Upstreams) -> None:
    """Envoy takes the sidecar's certificate by its name, the policy Envoy's by its own; then a switch is followed."""
    bootstrap = blocks()[page]
    assert bootstrap.count(NAME) == 1
    tls = blocks()["envoy-tls.yaml"].replace("/etc/envoy/tls", str(tmp_path))
    with (
        Secured(tmp_path, DATACENTERS + "default: dc2\n") as sidecar,
        Envoy(tmp_path, bootstrap.replace(NAME, NAME + tls), sidecar=sidecar.port, upstreams=upstreams) as envoy,
    ):
        # The static weights of the page are for dc1.
        eventually(lambda: served_by(envoy.port) == "dc2", "the document's datacenter")
        sidecar.document.write_text(DATACENTERS + "default: dc1\n")
        eventually(lambda: served_by(envoy.port) == "dc1", "the switch")


def test_grpc_clients(tmp_path: Path) -> None:
    """Clients of both languages take the sidecar's certificate, and the policy theirs."""
    bootstrap = json.loads(PAGE["bootstrap.json"])
    creds = json.loads(PAGE["channel_creds.json"].replace("/etc/orders/tls/orders", f"{tmp_path}/edge"))
    creds[0]["config"]["ca_certificate_file"] = str(tmp_path / "ca.crt")
    endpoints = tmp_path / "endpoints.yaml"
    with Backend("dc2", tmp_path) as backend:
        endpoints.write_text(json.dumps({"apps": {"billing": {"dc2": [backend.address]}}}))
        with Secured(tmp_path, DATACENTERS + "default: dc2\n", "--xds-endpoints", str(endpoints)) as sidecar:
            bootstrap["xds_servers"][0] |= {"server_uri": f"localhost:{sidecar.port}", "channel_creds": creds}
            (tmp_path / "bootstrap.json").write_text(json.dumps(bootstrap))
            env = {**os.environ, "GRPC_XDS_BOOTSTRAP": str(tmp_path / "bootstrap.json")}
            for kind in CLIENTS:
                words = command(kind, 3, 0.0)
                done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True)
                assert [each.server or each.error for each in parsed(done.stdout)] == ["dc2"] * 3
