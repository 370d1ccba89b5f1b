"""Builds the jars of the PowerJob adapter for a release, as a Maven repository that is ready to be published."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

MODULES = ("dc-sidecar-powerjob-server", "dc-sidecar-powerjob-worker")
GROUP = Path("io/dcsidecar")

# Of our own artifacts: the version of a dependency stands in a property.
_VERSION = re.compile(r"(<artifactId>dc-sidecar-powerjob[a-z-]*</artifactId>\s*<version>)[^<]+(</version>)")


class BuildFailed(Exception):
    """Maven is missing or failed; the message says which, and how."""


def maven_version(version: str) -> str:
    """Return a Python version as Maven writes it: a development release is `X-dev.N.gHASH`."""
    return version.replace(".dev", "-dev.").replace("+", ".")


def build_jars(tree: Path, target: Path, version: str, moment: str) -> list[Path]:
    """Build and test the adapter in `tree` into the Maven repository `target`; return its files.

    `moment` is the time that is written into the jars, RFC 3339: the same sources and moment give the same jars. Every
    file has its SHA-256 beside it. Raises BuildFailed.
    """
    if shutil.which("mvn") is None:
        raise BuildFailed(
            "mvn is not on the PATH: install Maven and a JDK from 11 on, which build the PowerJob adapter"
        )
    adapter = tree / "adapters/powerjob"
    for pom in adapter.glob("**/pom.xml"):
        pom.write_text(_VERSION.sub(rf"\g<1>{version}\g<2>", pom.read_text(encoding="utf-8")), encoding="utf-8")
    words = ["mvn", "-B", "-q", "-P", "release", "-pl", ":dc-sidecar-powerjob,server,worker"]
    words += [f"-Dproject.build.outputTimestamp={moment}", f"-DaltDeploymentRepository=staging::{target.as_uri()}"]
    done = subprocess.run([*words, "deploy"], cwd=adapter, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise BuildFailed(f"{' '.join(words[:5])} deploy failed:\n{(done.stdout + done.stderr)[-6000:]}")
    for bill in target.rglob("*-cyclonedx.json"):
        _make_reproducible(bill)
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.suffix not in {".md5", ".sha1", ".sha256"}:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_name(f"{path.name}.sha256").write_text(digest, encoding="ascii")
    return sorted(path for path in target.rglob("*") if path.is_file())


def _make_reproducible(bill: Path) -> None:
    """Remove what differs between two builds of the same sources, and write the digests anew."""
    content = json.loads(bill.read_text(encoding="utf-8"))
    content.pop("serialNumber", None)
    content.get("metadata", {}).pop("timestamp", None)
    bill.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    data = bill.read_bytes()
    for suffix, digest in (
        ("md5", hashlib.md5(data, usedforsecurity=False)),
        ("sha1", hashlib.sha1(data, usedforsecurity=False)),
    ):
        bill.with_name(f"{bill.name}.{suffix}").write_text(digest.hexdigest(), encoding="ascii")
