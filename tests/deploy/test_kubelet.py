"""What the chart renders, run as kubelet runs it: order, a switch, restarts, limits, and the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.helm import one, render, scheduler_chart
from tests.deploy.image import Image
from tests.deploy.kubelet import Pod
from tests.harness import Client
from tests.waiting import eventually

ROUTING = {"routing.yaml": "default: {active: dc1, backups: [dc2]}"}

# A scheduler that asks where job 7 of billing may run, again and again, and prints each other answer; at its end it
# asks once more. The sidecar's own image gives it gRPC.
SCHEDULER = """
import os, signal, sys, time
from sidecar.client import RoutingClient, Worker
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
workers = [Worker("a", "dc1"), Worker("b", "dc2")]
last = None
with RoutingClient(os.environ["DC_SIDECAR_TARGET"], cache_size=0) as client:
    while True:
        goodbye = bool(ended)
        try:
            said = client.filter("billing", job="7", candidates=workers).datacenter
        except Exception as error:
            said = type(error).__name__
        if said != last or goodbye:
            print("at the end" if goodbye else "now", said, flush=True)
            last = said
        if goodbye:
            sys.exit(0)
        time.sleep(0.01)
"""


@pytest.fixture
def images(image: Image) -> Mapping[str, Image]:
    """Return the image of the sidecar, and one for the scheduler."""
    return {"dc-sidecar": image, "scheduler": image}


def pod_spec(values: Mapping[str, Any], folder: Path, version: str = "1.30.0") -> Mapping[str, Any]:
    """Return the pod of the standalone Deployment."""
    spec: Mapping[str, Any] = one(render(values, folder=folder, version=version), "Deployment")["spec"]["template"][
        "spec"
    ]
    return spec


def with_scheduler(folder: Path, version: str, **sidecar: object) -> Mapping[str, Any]:
    """Return the pod of the scheduler's chart, with the sidecar injected."""
    values = {
        "command": ["/opt/dc-sidecar/bin/python", "-c", SCHEDULER],
        "dc-sidecar": {"source": {"configMap": {"name": "routing"}}, **sidecar},
    }
    objects = render(values, folder=folder, chart=scheduler_chart(folder), version=version)
    spec: Mapping[str, Any] = one(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def test_a_native_sidecar_is_there_before_the_scheduler_and_after_it(
    images: Mapping[str, Image], tmp_path: Path
) -> None:
    """It starts first; a changed ConfigMap switches the scheduler, which is answered to its very end; exit 0."""
    spec = with_scheduler(tmp_path, "1.30.0")
    with Pod(spec, images, folder=tmp_path, config_maps={"routing": ROUTING}) as pod:
        assert pod.events[0] == ("dc-sidecar", "started")
        eventually(lambda: "now dc1" in pod.log("scheduler"), "the scheduler is sent to dc1", within=60)
        eventually(lambda: pod.ready, "all is ready", within=60)
        pod.project("dc-sidecar-routing", {"routing.yaml": "dc2"})
        eventually(lambda: "now dc2" in pod.log("scheduler"), "the scheduler is sent to dc2", within=5)
        assert pod.members["dc-sidecar"].process.peak() < 64 * 2**20
        assert pod.delete() < 15
        assert {member.exit_code for member in pod.members.values()} == {0}
        assert pod.log("scheduler").endswith("at the end dc2\n")
    assert pod.events[-2:] == [("scheduler", "ended"), ("dc-sidecar", "ended")]
    assert {member.restarts for member in pod.members.values()} == {0}


def test_a_plain_container_outlives_the_scheduler(images: Mapping[str, Image], tmp_path: Path) -> None:
    """Before Kubernetes 1.29 preStop keeps the sidecar up while the scheduler ends."""
    spec = with_scheduler(tmp_path, "1.28.0", preStopSeconds=3)
    assert "initContainers" not in spec
    with Pod(spec, images, folder=tmp_path, config_maps={"routing": ROUTING}) as pod:
        eventually(lambda: "now dc1" in pod.log("scheduler"), "the scheduler is sent to dc1", within=60)
        eventually(lambda: pod.ready, "all is ready", within=60)
        pod.delete()
        assert {member.exit_code for member in pod.members.values()} == {0}
    assert pod.log("scheduler").endswith("at the end dc1\n")
    assert pod.events[-2:] == [("scheduler", "ended"), ("dc-sidecar", "ended")]


def test_a_sidecar_without_a_document_is_alive_and_not_ready(images: Mapping[str, Image], tmp_path: Path) -> None:
    """It holds up no start and is not restarted; it becomes ready, by gRPC probes, when the document comes."""
    spec = pod_spec({"source": {"configMap": {"name": "routing"}}, "preStopSeconds": 1}, tmp_path)
    (container,) = spec["containers"]
    assert "grpc" in container["readinessProbe"]
    with Pod(spec, images, folder=tmp_path, config_maps={"routing": {}}) as pod:
        eventually(lambda: pod.members["dc-sidecar"].started, "the startup probe passes", within=60)
        assert not pod.ready
        pod.project("dc-sidecar-routing", ROUTING)
        eventually(lambda: pod.ready, "it is ready", within=30)
        assert pod.members["dc-sidecar"].restarts == 0
        with Client(f"unix:{pod.volume('dc-sidecar-socket')}/sidecar.sock") as client:
            assert client.filter().datacenter == "dc1"
        pod.delete()
        assert pod.members["dc-sidecar"].exit_code == 0


def test_a_killed_container_comes_back_with_its_last_document(images: Mapping[str, Image], tmp_path: Path) -> None:
    """The snapshot in the state volume serves the restarted sidecar while the source says nothing."""
    spec = pod_spec({"source": {"configMap": {"name": "routing"}}}, tmp_path)
    with Pod(spec, images, folder=tmp_path, config_maps={"routing": ROUTING}) as pod:
        eventually(lambda: pod.ready, "it is ready", within=60)
        eventually(lambda: list(pod.volume("dc-sidecar-state").iterdir()), "the snapshot is written")
        (pod.volume("dc-sidecar-routing") / "..data").rename(pod.volume("dc-sidecar-routing") / "..away")
        pod.restart("dc-sidecar")
        eventually(lambda: pod.members["dc-sidecar"].restarts == 1, "it is started anew", within=30)
        eventually(lambda: pod.ready, "it is ready again", within=60)
        with Client(f"unix:{pod.volume('dc-sidecar-socket')}/sidecar.sock") as client:
            assert client.status().from_snapshot
            assert client.filter().datacenter == "dc1"


@pytest.mark.parametrize("options", [{"log-level": "loud"}, {"max-candidatse": 5}])
def test_a_wrong_option_ends_the_container_with_a_reason(
    images: Mapping[str, Image], tmp_path: Path, options: Mapping[str, object]
) -> None:
    """What the schema cannot know, the sidecar refuses at its start, and its log names the variable."""
    spec = pod_spec({"source": {"configMap": {"name": "routing"}}, "options": options}, tmp_path)
    with Pod(spec, images, folder=tmp_path, config_maps={"routing": ROUTING}) as pod:
        eventually(lambda: pod.members["dc-sidecar"].restarts > 0, "it has ended", within=60)
    assert f"DC_SIDECAR_{next(iter(options)).upper().replace('-', '_')}: " in pod.log("dc-sidecar")


def test_http_probes_and_the_token(images: Mapping[str, Image], tmp_path: Path) -> None:
    """With probes of type http it becomes ready; the token's file is found where the chart puts it; exit 0."""
    http = {"enabled": True, "tokenSecret": {"name": "page"}}
    values = {
        "source": {"configMap": {"name": "routing"}},
        "http": http,
        "probes": {"type": "http"},
        "preStopSeconds": 1,
    }
    spec = pod_spec(values, tmp_path)
    secrets = {"page": {"token": "correct horse battery staple"}}
    with Pod(spec, images, folder=tmp_path, config_maps={"routing": ROUTING}, secrets=secrets) as pod:
        eventually(lambda: pod.ready, "it is ready", within=60)
        assert pod.members["dc-sidecar"].process.peak() < 96 * 2**20
        pod.delete()
        assert (pod.members["dc-sidecar"].restarts, pod.members["dc-sidecar"].exit_code) == (0, 0)
