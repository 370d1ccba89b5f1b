"""Routes that name clusters which Envoy does not have: seen in status, metrics and log, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.xds.conftest import DATACENTERS, DOCUMENT, Envoy, Served, blocks
from tests.integration.xds.upstreams import Load, Upstreams, served_by
from tests.waiting import eventually

NODE = "edge-2"


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Served]:
    """Run a sidecar with a template that names clusters as Envoy does not."""
    served = Served(tmp_path, DOCUMENT, "--xds-cluster", "{dc}.{app}")
    with served.process:
        yield served


def rejection(served: Served) -> str:
    """Return what Envoy says about the routes that it rejected last, "" if it took them."""
    found = served.subscription(NODE, "RDS").get("rejection")
    return str(found["message"]) if found else ""


def test_wrong_template(tmp_path: Path, sidecar: Served, upstreams: Upstreams) -> None:
    """The rejection is shown with its message; a sidecar with the right template is followed without a restart.

    A datacenter that Envoy does not know is rejected too: it keeps the routes that it had, and no request fails.
    """
    with Envoy(tmp_path, blocks()["envoy-routes.yaml"], sidecar=sidecar.port, upstreams=upstreams) as envoy:
        eventually(lambda: "unknown weighted cluster 'dc1.billing'" in rejection(sidecar), "the rejection")
        assert served_by(envoy.port) == "404"
        assert sidecar.subscription(NODE, "RDS")["acknowledged"] == ""
        assert 'dc_sidecar_xds_clients_rejecting{type="RDS"} 1.0' in sidecar.metrics()
        assert "edge-2 at ipv4:127.0.0.1" in sidecar.process.log_text()
        assert "unknown weighted cluster 'dc1.billing'" in sidecar.process.log_text()
        sidecar.process.end()

        folder = tmp_path / "right"
        folder.mkdir()
        right = Served(folder, DATACENTERS + "default: dc2\n", port=sidecar.port)
        with right.process:
            eventually(lambda: served_by(envoy.port) == "dc2", "the routes of the right template", within=40)
            assert rejection(right) == ""
            with Load(envoy.port) as load:
                right.put("datacenters: {dc1: {}, dc2: {}, dc3: {}}\ndefault: dc3\n")
                eventually(lambda: "unknown weighted cluster 'billing-dc3'" in rejection(right), "the rejection")
                right.put(DATACENTERS + "default: dc1\n")
                eventually(lambda: load.replies[-1].body == "dc1", "the next routes")
                eventually(lambda: not rejection(right), "it took the next routes")
            assert load.failures() == []
            assert {reply.body for reply in load.replies} == {"dc1", "dc2"}
