"""The snippets of docs/schedulers.md: compiled, and run against a sidecar."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.powerjob.build import ADAPTERS, CLIENT, PROTOS, ROOT, built, maven
from tests.powerjob.site import Sidecar
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The first test pays for the build and for what Maven fetches.
pytestmark = pytest.mark.timeout(1200)

SNIPPETS = ROOT / "docs" / "snippets"
GUIDE = ROOT / "docs" / "schedulers.md"
_TOGETHER = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>together</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <modules><module>adapters/java/client</module><module>docs/snippets/java</module></modules>
</project>
"""
DOCUMENT = "datacenters: [dc1, dc2]\ndefault: dc1\napps: {billing: dc2}\n"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a sidecar that sends billing to dc2; give its address."""
    folder = tmp_path_factory.mktemp("guide")
    listen = f"unix:{folder / 'sidecar.sock'}"
    process = Sidecar(folder, listen=listen)
    process.document.write_text(DOCUMENT)
    with process:
        yield listen.replace("unix:", "unix://")


def test_the_guide_shows_the_snippets() -> None:
    """What the guide shows is what is compiled and run here, to the letter."""
    shown = dict(re.findall(r"<!-- (snippets/\S+) -->\n```\w+\n(.*?)```", GUIDE.read_text(), re.DOTALL))
    files = {
        f"snippets/{name}" for name in ("python/dispatch.py", "java/src/main/java/Dispatch.java", "go/dispatch.go")
    }
    assert shown == {name: (GUIDE.parent / name).read_text() for name in files}


def test_python(sidecar: str) -> None:
    """The Python snippet chooses as the sidecar says, and everybody where there is no sidecar."""
    _check([sys.executable, str(SNIPPETS / "python" / "dispatch.py")], sidecar)


def test_java(sidecar: str) -> None:
    """The Java snippet, compiled with its pom, does the same."""
    sources = (SNIPPETS / "java", *CLIENT, PROTOS)
    folder = built("snippet-java", sources, ("java", "mvn"), _build_java)
    # A scheduler asks many times; the first question of a fresh JVM takes longer than the default deadline.
    settings = ["-Ddc-sidecar.timeout=20s", "-Ddc-sidecar.state-dir=off"]
    _check(["java", *settings, "-cp", f"{folder}/classes{os.pathsep}{folder}/lib/*", "Dispatch"], sidecar)


def test_go(sidecar: str) -> None:
    """The Go snippet, compiled as the guide says, does the same."""
    folder = built("snippet-go", (SNIPPETS / "go", PROTOS), ("go",), _build_go)
    _check([str(folder / "dispatch")], sidecar)


def _check(command: Sequence[str], sidecar: str) -> None:
    # On a loaded machine a first call may take longer than a scheduler would wait.
    eventually(
        lambda: _run(command, sidecar) == "run job 1001 on 10.2.0.9:27777 10.3.0.4:27777", "the choice", within=60
    )
    everybody = "run job 1001 on 10.1.0.7:27777 10.2.0.9:27777 10.3.0.4:27777"
    assert _run(command, "unix:///nowhere/sidecar.sock") == everybody


def _run(command: Sequence[str], target: str) -> str:
    done = subprocess.run([*command, target], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _build_java(fresh: Path) -> None:
    sources = fresh / "docs" / "snippets" / "java"
    shutil.copytree(SNIPPETS / "java", sources, ignore=shutil.ignore_patterns("target"))
    shutil.copytree(ADAPTERS / "java", fresh / "adapters" / "java", ignore=shutil.ignore_patterns("target"))
    shutil.copyfile(ADAPTERS / "pom.xml", fresh / "adapters" / "pom.xml")
    shutil.copytree(PROTOS, fresh / "protos")
    # With the client in one build, so that it is that of these sources.
    (fresh / "pom.xml").write_text(_TOGETHER)
    maven("-f", str(fresh / "pom.xml"), "-DskipTests", "package")
    for part in ("classes", "lib"):
        (sources / "target" / part).rename(fresh / part)
    shutil.rmtree(fresh / "adapters")


def _build_go(fresh: Path) -> None:
    shutil.copytree(SNIPPETS / "go", fresh)
    install, generate = re.findall(r"```\n(go install .*?)\n(protoc .*?)\n```", GUIDE.read_text(), re.DOTALL)[0]
    binaries = fresh / "bin"
    environment = {**os.environ, "GOBIN": str(binaries), "GOFLAGS": "-mod=mod"}
    environment["PATH"] = f"{binaries}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The compiler that generates our own code, under the name that the guide uses.
    protoc = f"uv tool run --quiet --python '{sys.executable}' --from grpcio-tools==1.74.0 --with setuptools"
    script = f'protoc() {{ {protoc} python -m grpc_tools.protoc "$@"; }}\n{generate.replace("-Iprotos", f"-I{PROTOS}")}'
    for step in (*install.splitlines(), script, "go build -o dispatch ."):
        done = subprocess.run(
            ["bash", "-ec", step], cwd=fresh, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f"{step}\n{done.stderr[-4000:]}"
    shutil.rmtree(binaries)
