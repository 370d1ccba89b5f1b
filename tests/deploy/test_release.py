"""What `make dist` builds, the workflows, and the steps of a release that need no network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from deploy.release import charts, dist, jars, maven, notes, sign
from tests.deploy.conftest import ROOT
from tests.deploy.helm import one, render
from tests.deploy.tools import ACTIONLINT, tool
from tests.servers.maven import QUICK_START

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_a_commit_becomes_the_same_bytes_twice(tmp_path: Path) -> None:
    """Wheel and sdist of one commit are equal, whenever and wherever they are built."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        dist.distributions(tmp_path / name, "1.2.3", "HEAD", tmp_path / f"{name}-tree")
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert sorted(first) == ["dc_sidecar-1.2.3-py3-none-any.whl", "dc_sidecar-1.2.3.tar.gz"]
    assert first == second


@pytest.mark.timeout(900)
def test_what_is_released_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, contents, digests, bills of materials, jars; the wheel, alone, decides as the vectors say."""
    # The unit tests of these sources ran when tests/powerjob and tests/elasticjob built them.
    monkeypatch.setenv("MAVEN_OPTS", f"-DskipTests=true {QUICK_START}")
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
    number = charts.chart_version(version)
    assert {"dc-sidecar-alerts.yaml", "dc-sidecar-dashboard.json", f"powerjob-server-{number}.tgz"} <= names
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


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_one_and_pins_what_it_uses(workflow: Path) -> None:
    """It fits GitHub's schema; each action is named by the digest of a commit; a job writes only what it publishes."""
    words = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    words[0] = str(Path(sys.executable).with_name(words[0]))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    used = [step["uses"] for job in content["jobs"].values() for step in job.get("steps", ()) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)
    assert content["permissions"] == {"contents": "read"}
    writes = {name: job["permissions"] for name, job in content["jobs"].items() if "permissions" in job}
    assert [name for name, given in writes.items() if given.get("contents") == "write"] == (
        ["github-release"] if workflow.name == "release.yml" else []
    )


def test_actionlint_finds_nothing() -> None:
    """Expressions, contexts, outputs, runners and, by shellcheck, the scripts of each step."""
    words = [str(tool(ACTIONLINT)), "-shellcheck", str(Path(sys.executable).with_name("shellcheck")), "-pyflakes="]
    done = subprocess.run([*words, *map(str, WORKFLOWS)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_can_find_something(tmp_path: Path) -> None:
    """An output that no job has is an error: the check above can fail."""
    (release,) = (path for path in WORKFLOWS if path.name == "release.yml")
    broken = tmp_path / "release.yml"
    broken.write_text(release.read_text(encoding="utf-8").replace("needs.dist.outputs.image", "needs.dist.outputs.y"))
    done = subprocess.run([str(tool(ACTIONLINT)), str(broken)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert '"y" is not defined' in done.stdout


@pytest.mark.parametrize(
    ("version", "number"),
    [("1.2.3", "1.2.3"), ("1.2.3rc1", "1.2.3-rc1"), ("0.1.0.dev7+gabc", "0.1.0-dev.7.gabc")],
)
def test_packaged_charts_render_like_the_folder(version: str, number: str, tmp_path: Path) -> None:
    """Twice the same bytes; version, image and runbook are the release's; the server's chart holds the sidecar's."""
    runbook = "https://git.example/dc-sidecar/docs/operations.md"
    built = {}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = charts.build_charts(ROOT, tmp_path / name, version, image="ghcr.io/jobs/dc-sidecar", runbook=runbook)
        built[name] = {path.name: path.read_bytes() for path in made}
    assert built["one"] == built["two"]
    values = {"source": {"configMap": {"document": "dc1"}}, "prometheusRule": {"enabled": True}}
    package = tmp_path / f"one/dc-sidecar-{number}.tgz"
    objects = render(values, folder=tmp_path, chart=package)
    image = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"ghcr.io/jobs/dc-sidecar:{version.replace('+', '-')}"
    rules = one(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert {rule["annotations"]["runbook_url"].partition("#")[0] for rule in rules} == {runbook}
    assert runbook in (tmp_path / "one/dc-sidecar-alerts.yaml").read_text(encoding="utf-8")
    plain = render(values, folder=tmp_path)
    assert [each["kind"] for each in objects] == [each["kind"] for each in plain]
    server = {"dc-sidecar": {"mode": "inject", "source": {"url": "nacos://nacos:8848/G/D"}}}
    parent = render(server, folder=tmp_path, chart=tmp_path / f"one/powerjob-server-{number}.tgz")
    assert image in json.dumps(parent)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a checkout of 1.2.3 with its changelog."""
    (tmp_path / "sidecar").mkdir()
    (tmp_path / "sidecar/__init__.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n- next\n\n## 1.2.3 - 2026-12-01\n\n### Added\n\n- this\n\n"
        "## 1.2.2 - 2026-11-01\n\n- old\n",
        encoding="utf-8",
    )
    return tmp_path


def test_the_notes_are_the_section_of_the_version(tree: Path) -> None:
    """Of a release its own section, of a release candidate that or what is unreleased."""
    assert notes.notes(tree, "v1.2.3") == "### Added\n\n- this\n"
    assert notes.notes(tree, "v1.2.3rc1") == "### Added\n\n- this\n"
    changelog = tree / "CHANGELOG.md"
    changelog.write_text(changelog.read_text(encoding="utf-8").replace("1.2.3", "1.2.1"), encoding="utf-8")
    assert notes.notes(tree, "v1.2.3rc1") == "- next\n"


@pytest.mark.parametrize(
    ("tag", "message"),
    [("v1.2.4", "found version 1.2.3, expected 1.2.4"), ("nightly", "expected v1.2.3"), ("v1.2", "expected v1.2.3")],
)
def test_a_tag_that_is_not_the_code_s_is_not_released(tag: str, message: str, tree: Path) -> None:
    """The tag must be the version of the code."""
    with pytest.raises(dist.NotReleasable, match=message):
        notes.notes(tree, tag)


def test_a_version_without_entries_is_not_released(tree: Path) -> None:
    """The changelog must name the version."""
    (tree / "CHANGELOG.md").write_text("## Unreleased\n\n- next\n", encoding="utf-8")
    with pytest.raises(dist.NotReleasable, match=r"no entries for 1\.2\.3"):
        notes.notes(tree, "v1.2.3")


def test_a_signature_is_that_of_the_key(tmp_path: Path) -> None:
    """The digests are signed by the key in the environment, with its passphrase; the signature verifies."""
    with tempfile.TemporaryDirectory(prefix="gpg") as home:  # a short path: of a socket
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "phrase"]
        subprocess.run([*gpg, "--quick-gen-key", "Release <release@example>", "ed25519", "sign"], check=True)
        export = [*gpg, "--armor", "--export-secret-keys"]
        key = subprocess.run(export, check=True, capture_output=True, text=True).stdout
        file = tmp_path / "SHA256SUMS"
        file.write_text("0  x\n", encoding="ascii")
        signature = sign.sign(file, key, "phrase")
        verify = [*gpg, "--verify", str(signature), str(file)]
        assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
        file.write_text("1  x\n", encoding="ascii")
        assert subprocess.run(verify, capture_output=True, check=False).returncode == 1
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    with pytest.raises(dist.NotReleasable, match="gpg failed"):
        sign.sign(file, "no key", "")


class _Repository(BaseHTTPRequestHandler):
    """A Maven repository that takes each file once."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers["Authorization"] == "Basic dXNlcjpzM2NyZXQ="
        status = 401 if not known else 409 if self.path in self.files else 201
        if status == 201:
            self.files[self.path] = body
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_jars_are_published_once(tmp_path: Path) -> None:
    """Every file but the metadata arrives, POMs last; a second time, or with a wrong password, is an error."""
    folder = tmp_path / "io/dcsidecar/a/1"
    folder.mkdir(parents=True)
    for name in ("a-1.pom", "a-1.pom.sha256", "a-1.jar", "maven-metadata.xml", "maven-metadata.xml.sha1"):
        (folder / name).write_bytes(name.encode())
    _Repository.files.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Repository) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/maven"
        with pytest.raises(dist.NotReleasable, match="answers 401"):
            maven.publish(tmp_path, url, "user", "wrong")
        published = maven.publish(tmp_path, url, "user", "s3cret")
        assert published == [f"io/dcsidecar/a/1/a-1{end}" for end in (".jar", ".pom", ".pom.sha256")]
        assert _Repository.files == {f"/maven/{name}": name.rpartition("/")[2].encode() for name in published}
        with pytest.raises(dist.NotReleasable, match=r"a-1\.jar: the repository answers 409"):
            maven.publish(tmp_path, url, "user", "s3cret")
        server.shutdown()
    with pytest.raises(dist.NotReleasable, match="expected https"):
        maven.publish(tmp_path, "http://maven.example", "user", "s3cret")


def test_the_steps_of_the_workflow_run(tmp_path: Path) -> None:
    """The scripts of the steps for names, notes and signature, as the workflow has them, in a checkout with a tag."""
    (release,) = (path for path in WORKFLOWS if path.name == "release.yml")
    steps = {
        step.get("id"): step for step in yaml.safe_load(release.read_text(encoding="utf-8"))["jobs"]["dist"]["steps"]
    }
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "tree")], check=True)
    checkout = tmp_path / "tree"
    (checkout / ".venv").symlink_to(Path(sys.executable).parents[1])
    (checkout / "dist").mkdir()
    (checkout / "dist/SHA256SUMS").write_text("0  x\n", encoding="ascii")
    output = tmp_path / "output"
    version = dist.version_of().partition(".dev")[0]
    env = {"PATH": os.environ["PATH"], "GITHUB_REF_NAME": f"v{version}", "GITHUB_OUTPUT": str(output), "OWNER": "Jobs"}
    for name in ("names", "notes", "sign"):
        words = ["bash", "-euo", "pipefail", "-c", steps[name]["run"]]
        done = subprocess.run(words, cwd=checkout, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    assert output.read_text(encoding="utf-8") == f"image=ghcr.io/jobs/dc-sidecar\nversion={version}\n"
    assert (checkout / "notes.md").read_text(encoding="utf-8").startswith("### ")
