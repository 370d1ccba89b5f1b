"""Builds and checks the release artifacts of the last commit: wheel, sdist, jars, charts, bills of materials, digests.

Run by `make dist`. The version is that of the tag `v…` at the commit, or without a tag a development release of the
version in sidecar/__init__.py. Builds are reproducible: the same commit gives the same bytes. RELEASE_IMAGE (repository
of the image) and RELEASE_RUNBOOK (URL of docs/operations.md) become defaults of the chart.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from deploy.release import charts, jars

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
VECTORS = Path(__file__).with_name("vectors.py")

_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_IN_JARS = ("META-INF/", "dcsidecar/", "io/")
_TAG = re.compile(r"v([0-9]+\.[0-9]+\.[0-9]+(?:(?:a|b|rc)[0-9]+)?)")


class NotReleasable(Exception):
    """A built artifact fails a check; the message says which."""


def main() -> int:
    """Build into dist/, check, and list the files."""
    target = ROOT / "dist"
    try:
        version, made = build(target)
        check(target, version)
    except NotReleasable as error:
        sys.stderr.write(f"make dist: {error}\n")
        return 1
    sys.stdout.write("".join(f"{path.relative_to(ROOT)}\n" for path in made))
    return 0


def version_of(revision: str = "HEAD") -> str:
    """Return the version of a commit: of its tag, else that in the code, as a development release."""
    for tag in run("git", "tag", "--points-at", revision).split():
        if match := _TAG.fullmatch(tag):
            return match[1]
    found = _VERSION.search(run("git", "show", f"{revision}:sidecar/__init__.py"))
    assert found is not None
    count = run("git", "rev-list", "--count", revision).strip()
    return f"{found[1]}.dev{count}+g{run('git', 'rev-parse', '--short=10', revision).strip()}"


def build(target: Path, revision: str = "HEAD") -> tuple[str, list[Path]]:
    """Build a commit into an empty `target`; return the version and the files."""
    version = version_of(revision)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        distributions(target, version, revision, tree)
        bill_of_materials(target, version, tree, Path(folder))
        adapter_jars(target, version, revision, tree)
        image, runbook = os.environ.get("RELEASE_IMAGE", ""), os.environ.get("RELEASE_RUNBOOK", "")
        charts.build_charts(tree, target, version, image=image, runbook=runbook)
    made = sorted(path for path in target.rglob("*") if path.is_file())
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(target)}\n" for path in made)
    (target / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    return version, [target / "SHA256SUMS", *made]


def adapter_jars(target: Path, version: str, revision: str, tree: Path) -> None:
    """Build the jars for Java schedulers into the Maven repository `target`/maven, and copy them beside it."""
    moment = run("git", "show", "--no-patch", "--format=%cI", revision).strip()
    number = jars.maven_version(version)
    try:
        jars.build_jars(tree, target / "maven", number, moment)
    except jars.BuildFailed as error:
        raise NotReleasable(str(error)) from error
    for module, classifier in jars.INSTALLED:
        name = f"{module}-{number}{classifier}.jar"
        shutil.copyfile(target / "maven" / jars.GROUP / module / number / name, target / name)


def distributions(target: Path, version: str, revision: str, tree: Path) -> None:
    """Build wheel and sdist of a commit into `target`, from an export of its files in the empty folder `tree`."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    code = tree / "sidecar/__init__.py"
    code.write_text(_VERSION.sub(f'__version__ = "{version}"', code.read_text(encoding="utf-8")), encoding="utf-8")
    moment = run("git", "show", "--no-patch", "--format=%ct", revision).strip()
    run(str(BIN / "hatchling"), "build", "-d", str(target), cwd=tree, env={"SOURCE_DATE_EPOCH": moment})


def bill_of_materials(target: Path, version: str, tree: Path, folder: Path) -> None:
    """Write the bill of materials (CycloneDX) of an installation with all extras, from a new environment.

    The test vectors are run in that environment, from the installed wheel.
    """
    (wheel,) = target.glob("*.whl")
    empty = folder / "environment"
    uv = str(BIN / "uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, str(empty))
    python = str(empty / "bin/python")
    locked = str(ROOT / "requirements/dev.lock")
    run(uv, "pip", "install", "--quiet", "--python", python, "--constraints", locked, f"{wheel}[all]")
    run(python, "-I", str(VECTORS), str(tree / "tests/vectors"), version, cwd=folder)
    bill = target / f"dc_sidecar-{version}.cdx.json"
    words = ("environment", python, "--pyproject", str(tree / "pyproject.toml"), "--mc-type", "application")
    run(str(BIN / "cyclonedx-py"), *words, "--output-reproducible", "--output-file", str(bill))
    # The wheel is the component itself; remove the path of the temporary folder.
    content = json.loads(bill.read_text(encoding="utf-8"))
    content["metadata"]["component"]["version"] = version
    for component in content["components"]:
        if component["name"] == "dc-sidecar":
            component["externalReferences"] = []
    bill.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check(target: Path, version: str) -> None:
    """Raise NotReleasable if a file is missing or does not belong in an artifact."""
    (wheel,) = target.glob("*.whl")
    (sdist,) = target.glob("*.tar.gz")
    for name in charts.CHARTS:
        package = target / f"{name}-{charts.chart_version(version)}.tgz"
        if not package.is_file():
            raise NotReleasable(f"{package.name} is missing")
    check_jars(target, version)
    run(str(BIN / "twine"), "check", "--strict", str(wheel), str(sdist))
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "sidecar/py.typed",
        "sidecar/pb/dcsidecar/v1/routing_pb2.py",
        "sidecar/pb/dcsidecar/v1/routing_pb2.pyi",
    ):
        if needed not in names:
            raise NotReleasable(f"{wheel.name}: {needed} is missing")
    strays = [name for name in names if not name.startswith(("sidecar/", f"dc_sidecar-{version}.dist-info/"))]
    if strays:
        raise NotReleasable(f"{wheel.name}: found {strays[0]}, expected only sidecar/")
    with tarfile.open(sdist) as files:
        if f"dc_sidecar-{version}/protos/dcsidecar/v1/routing.proto" not in files.getnames():
            raise NotReleasable(f"{sdist.name}: the contract is missing")


def check_jars(target: Path, version: str) -> None:
    """Raise NotReleasable if a file is missing in the Maven repository, or a jar holds what it should not."""
    number = jars.maven_version(version)
    for module in jars.MODULES:
        folder = target / "maven" / jars.GROUP / module / number
        for suffix in (".jar", ".pom", "-sources.jar", "-cyclonedx.json"):
            for file in (f"{module}-{number}{suffix}", f"{module}-{number}{suffix}.sha256"):
                if not (folder / file).is_file():
                    raise NotReleasable(f"{file} is missing in {folder.relative_to(target)}")
    for module, classifier in jars.INSTALLED:
        names = zipfile.ZipFile(target / f"{module}-{number}{classifier}.jar").namelist()
        strays = [name for name in names if not name.startswith(_IN_JARS)]
        if strays:
            raise NotReleasable(f"{module}{classifier}: found {strays[0]}, expected only our classes and gRPC")


def run(*words: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Return the output of a command. Raises NotReleasable, with its errors, if it fails."""
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotReleasable(f"{Path(words[0]).name} {' '.join(words[1:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
