"""What `make dist` builds, and the workflow of CI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from deploy.release import dist, jars
from tests.deploy.conftest import ROOT

WORKFLOW = ROOT / ".github/workflows/ci.yml"


def test_a_commit_becomes_the_same_bytes_twice(tmp_path: Path) -> None:
    """Wheel and sdist of one commit are equal, whenever and wherever they are built."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        dist.distributions(tmp_path / name, "1.2.3", "HEAD", tmp_path / f"{name}-tree")
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert sorted(first) == ["dc_sidecar-1.2.3-py3-none-any.whl", "dc_sidecar-1.2.3.tar.gz"]
    assert first == second


def test_what_is_released_is_checked(tmp_path: Path) -> None:
    """Version, contents, digests, bills of materials, jars; the wheel, alone, decides as the vectors say."""
    target = tmp_path / "dist"
    version, made = dist.build(target)
    dist.check(target, version)
    (bill,) = (json.loads(path.read_text(encoding="utf-8")) for path in made if path.name.endswith(".cdx.json"))
    assert bill["bomFormat"] == "CycloneDX"
    components = {component["name"]: component["version"] for component in bill["components"]}
    assert {"grpcio", "protobuf", "kazoo", "nacos-sdk-python"} <= components.keys()
    assert str(tmp_path) not in json.dumps(bill)
    assert "/tmp" not in json.dumps(bill)
    number = jars.maven_version(version)
    names = {str(path.relative_to(target)) for path in made}
    for module in jars.MODULES:
        folder = f"maven/io/dcsidecar/{module}/{number}"
        assert {f"{folder}/{module}-{number}{end}" for end in (".jar", ".pom", "-sources.jar", ".jar.sha256")} <= names
        assert f"{module}-{number}.jar" in names
        jar_bill = (target / folder / f"{module}-{number}-cyclonedx.json").read_text(encoding="utf-8")
        assert json.loads(jar_bill)["metadata"]["component"]["name"] == module
        assert str(tmp_path) not in jar_bill
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=target, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel, "a") as broken:
        broken.writestr("tests/stray.py", "")
    with pytest.raises(dist.NotReleasable, match=r"found tests/stray\.py"):
        dist.check(target, version)


def test_the_version_is_that_of_the_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`v1.2.3` at the commit is 1.2.3; without a tag it is a development release of what the code says."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example", "-c", "commit.gpgsign=false"]
    (tmp_path / "sidecar").mkdir()
    (tmp_path / "sidecar/__init__.py").write_text('__version__ = "0.4.0"\n', encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "One"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(dist.run, "__kwdefaults__", {"cwd": tmp_path, "env": None})
    assert re.fullmatch(r"0\.4\.0\.dev1\+g[0-9a-f]{10}", dist.version_of())
    subprocess.run([*git, "tag", "nightly"], cwd=tmp_path, check=True)
    subprocess.run([*git, "tag", "v1.2.3"], cwd=tmp_path, check=True)
    assert dist.version_of() == "1.2.3"


def test_the_workflow_is_one_and_pins_what_it_uses() -> None:
    """It fits GitHub's schema; each action is named by the digest of a commit; no job may write."""
    words = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    words[0] = str(Path(sys.executable).with_name(words[0]))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)
    assert workflow["permissions"] == {"contents": "read"}
