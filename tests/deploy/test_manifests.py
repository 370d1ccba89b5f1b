"""The plain manifests and the compose file: held to schemas, policy and the options of the sidecar."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar import config
from tests.attack.chart import size
from tests.deploy.conftest import ROOT
from tests.deploy.helm import Manifest, one
from tests.deploy.image import Image
from tests.deploy.kubelet import Pod
from tests.deploy.test_chart import complaints, pods
from tests.deploy.tools import KUSTOMIZE, tool
from tests.schemas import VERSIONS, hold_to_kubernetes
from tests.waiting import eventually

WAYS = ("configmap", "nacos")


def built(way: str) -> list[Manifest]:
    """Return the objects that kustomize makes."""
    words = [str(tool(KUSTOMIZE)), "build", str(ROOT / "deploy/kubernetes" / way)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return list(yaml.safe_load_all(done.stdout))


def the_sidecar(way: str) -> Mapping[str, Any]:
    """Return the sidecar's container."""
    (container,) = one(built(way), "StatefulSet")["spec"]["template"]["spec"]["initContainers"]
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize("way", WAYS)
def test_manifests_fit_every_kubernetes_and_the_restricted_standard(way: str) -> None:
    """Valid from 1.28, the first with native sidecars, to the newest; nothing more than `restricted` gives."""
    objects = built(way)
    for version in VERSIONS[1:]:
        hold_to_kubernetes(objects, version)
    assert set(complaints(pods(objects))) == {""}


@pytest.mark.parametrize("way", WAYS)
def test_the_sidecar_takes_its_arguments(way: str, tmp_path: Path) -> None:
    """What the manifest says is what `serve` can read: flags and variables, the source last."""
    container = the_sidecar(way)
    assert container["args"][0] == "serve"
    env = {each["name"]: each["value"] for each in container["env"]}
    if "DC_SIDECAR_NACOS_PASSWORD_FILE" in env:
        secret = tmp_path / "password"
        secret.write_text("x", encoding="utf-8")
        env["DC_SIDECAR_NACOS_PASSWORD_FILE"] = str(secret)
    settings = config.load(container["args"][1:], env)
    assert settings.listen == ("unix:/run/dc-sidecar/sidecar.sock",)
    assert settings.grace + 2 < 60
    volumes = one(built(way), "StatefulSet")["spec"]["template"]["spec"]["volumes"]
    (state,) = (volume for volume in volumes if volume["name"] == "state")
    assert size(state["emptyDir"]["sizeLimit"]) >= settings.audit_size + 16 * settings.max_document_size
    assert settings.source is not None
    assert settings.source.startswith({"configmap": "file:/etc/dc-sidecar/", "nacos": "nacos://"}[way])


def test_the_sidecar_of_the_manifests_runs(image: Image, tmp_path: Path) -> None:
    """Run as kubelet runs it, without the scheduler: it serves the ConfigMap of the example; exit 0."""
    objects = built("configmap")
    spec = dict(one(objects, "StatefulSet")["spec"]["template"]["spec"])
    spec["containers"] = []
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != "plugins"]
    data = one(objects, "ConfigMap")["data"]
    with Pod(spec, {"dc-sidecar": image}, folder=tmp_path, config_maps={"dc-sidecar-routing": data}) as pod:
        eventually(lambda: pod.ready, "it is ready", within=60)
        pod.delete()
        assert pod.members["dc-sidecar"].exit_code == 0


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("compose.yaml", "nacos://nacos:8848/DEFAULT_GROUP/dc-routing"),
        ("apollo.yaml", "apollo://apollo.example:8080/dc-routing/default/routing.yaml"),
    ],
)
def test_a_compose_file_is_one_and_its_sidecar_starts_as_it_says(name: str, source: str) -> None:
    """It fits the Compose specification, and `serve` can read the sidecar's command."""
    file = ROOT / "deploy/compose" / name
    words = [
        str(Path(sys.executable).with_name("check-jsonschema")),
        "--builtin-schema",
        "vendor.compose-spec",
        str(file),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    text = re.sub(r"\$\{APOLLO_META:\?[^}]*\}", "apollo.example:8080", file.read_text(encoding="utf-8"))
    service = yaml.safe_load(text.replace("${APOLLO_ACCESS_KEY:-}", ""))["services"]["sidecar"]
    variables = {name: text or "" for name, text in service["environment"].items()}
    settings = config.load(service["command"][1:], variables)
    assert settings.source == source
