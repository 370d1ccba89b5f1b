"""Rendered manifests against schemas and rules of the CRDs that a cluster would check them by."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from sidecar.cli.main import main
from tests.deploy.tools import CRD_JUDGE, GATEWAY_API, ISTIO_API, module, tool
from tests.schemas import complaint

DOCUMENT = """\
default: {active: dc1, backups: [dc2]}
apps: {shop: {split: {dc1: 90, dc2: 10}}}
"""


@cache
def crds() -> tuple[Path, ...]:
    """Return the files with the CRDs."""
    return (
        module(GATEWAY_API) / "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        module(ISTIO_API) / "kubernetes/customresourcedefinitions.gen.yaml",
    )


@cache
def schemas() -> dict[tuple[str, str], Any]:
    """Return the schema of each version of each kind in the CRDs."""
    found = {}
    for file in crds():
        for crd in yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
            spec = crd["spec"]
            for version in spec["versions"]:
                name = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                found[name] = _strict(version["schema"]["openAPIV3Schema"])
    return found


def _strict(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a schema that refuses fields which it does not name, as strict field validation of a cluster does."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(each) for key, each in schema.items()}
    if "properties" in schema and schema.get("type") == "object" and "additionalProperties" not in schema:
        strict["additionalProperties"] = False
    return strict


def refused(manifest: dict[str, Any]) -> str:
    """Return why a cluster would refuse a manifest by its schema, or ""."""
    schema = schemas()[manifest["apiVersion"], manifest["kind"]]
    # The other fields are those of every manifest.
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    return complaint(schema["properties"]["spec"], manifest["spec"])


def judged(*manifests: dict[str, Any]) -> list[str]:
    """Return the problems that the API server's own code finds: by schema, and by the rules in CEL."""
    done = subprocess.run(
        [tool(CRD_JUDGE), *crds()],
        input=json.dumps(manifests),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == bool(done.stdout), done.stderr
    return done.stdout.splitlines()


def rendered(capfd: pytest.CaptureFixture[str], folder: Path, *words: str) -> list[dict[str, Any]]:
    """Return the manifests that `dc-sidecar render` prints."""
    document = folder / "routing.yaml"
    document.write_text(DOCUMENT)
    assert main(["render", *words, "--source", f"file:{document}"]) == 0
    return cast("list[dict[str, Any]]", list(yaml.safe_load_all(capfd.readouterr().out)))


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (("httproute", "shop", "--gateway", "public"), ["HTTPRoute"]),
        (
            ("httproute", "shop", "--gateway", "infra/public", "--host", "*.example", "--namespace", "shop"),
            ["HTTPRoute"],
        ),
        (("virtualservice", "shop"), ["VirtualService"]),
        (
            ("virtualservice", "shop", "--service", "{app}", "--subset-label", "topology/dc", "--gateway", "a/b"),
            ["VirtualService", "DestinationRule"],
        ),
    ],
)
def test_manifests_are_valid(
    words: tuple[str, ...], kinds: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of the kinds that are asked for, without a field that the schema does not have."""
    manifests = rendered(capfd, tmp_path, *words)
    assert [each["kind"] for each in manifests] == kinds
    for each in manifests:
        assert refused(each) == ""
        assert "weigth" in refused({**each, "spec": {**each["spec"], "weigth": 1}})
    assert judged(*manifests) == []


def test_rules_of_the_crds_are_judged(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A Service without a port is against a rule in CEL, and against no schema."""
    (route,) = rendered(capfd, tmp_path, "httproute", "shop", "--gateway", "public")
    del route["spec"]["rules"][0]["backendRefs"][0]["port"]
    assert refused(route) == ""
    (problem,) = judged(route)
    assert "Must have port for Service reference" in problem


def test_the_weights_are_in_the_manifests(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """90 to 10, for the Service of each datacenter, or for its subset."""
    (route,) = rendered(capfd, tmp_path, "httproute", "shop", "--gateway", "public", "--port", "8080")
    assert route["spec"]["rules"][0]["backendRefs"] == [
        {"name": "shop-dc1", "port": 8080, "weight": 900},
        {"name": "shop-dc2", "port": 8080, "weight": 100},
    ]
    service, rule = rendered(capfd, tmp_path, "virtualservice", "shop", "--service", "shop", "--subset-label", "dc")
    weights = {each["destination"]["subset"]: each["weight"] for each in service["spec"]["http"][0]["route"]}
    assert weights == {"dc1": 900, "dc2": 100}
    assert [each["labels"] for each in rule["spec"]["subsets"]] == [{"dc": "dc1"}, {"dc": "dc2"}]
