"""Builds the jars for Java schedulers for a release, as a Maven repository that is ready to be published."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

MODULES = (
    "dc-sidecar-client",
    "dc-sidecar-elasticjob",
    "dc-sidecar-powerjob-server",
    "dc-sidecar-powerjob-worker",
)
# The jars to install, each a module and what its name has beside the version.
INSTALLED = (*((module, "") for module in MODULES), ("dc-sidecar-elasticjob", "-all"))
# Their poms' parents, which are published too.
_PARENTS = ("dc-sidecar-adapters", "dc-sidecar-powerjob")
GROUP = Path("io/dcsidecar")

# Of our own artifacts: the version of a dependency stands in a property.
_VERSION = re.compile(r"(<artifactId>dc-sidecar-[a-z0-9-]+</artifactId>\s*<version>)[^<]+(</version>)")


class BuildFailed(Exception):
    """Maven is missing or failed; the message says which, and how."""


def maven_version(version: str) -> str:
    """Return a Python version as Maven writes it: a development release is `X-dev.N.gHASH`."""
    return version.replace(".dev", "-dev.").replace("+", ".")


def build_jars(tree: Path, target: Path, version: str, moment: str) -> list[Path]:
    """Build and test the adapters in `tree` into the Maven repository `target`; return its files.

    `moment` is the time that is written into the jars, RFC 3339: the same sources and moment give the same jars. Every
    file has its SHA-256 beside it. Raises BuildFailed.
    """
    if shutil.which("mvn") is None:
        raise BuildFailed(
            "mvn is not on the PATH: install Maven and a JDK from 11 on, which build the jars for Java schedulers"
        )
    adapters = tree / "adapters"
    for pom in adapters.glob("**/pom.xml"):
        pom.write_text(_VERSION.sub(rf"\g<1>{version}\g<2>", pom.read_text(encoding="utf-8")), encoding="utf-8")
    words = ["mvn", "-B", "-q", "-P", "release", "-pl", ",".join(f":{name}" for name in (*_PARENTS, *MODULES))]
    words += [f"-Dproject.build.outputTimestamp={moment}", f"-DaltDeploymentRepository=staging::{target.as_uri()}"]
    done = subprocess.run([*words, "deploy"], cwd=adapters, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise BuildFailed(f"{' '.join(words[:5])} deploy failed:\n{(done.stdout + done.stderr)[-6000:]}")
    for bill in target.rglob("*-cyclonedx.json"):
        content = json.loads(bill.read_text(encoding="utf-8"))
        content.pop("serialNumber", None)
        content.get("metadata", {}).pop("timestamp", None)
        _replace(bill, json.dumps(content, indent=2, sort_keys=True) + "\n")
    digits = re.sub(r"[^0-9]", "", moment)[:14]
    for metadata in target.rglob("maven-metadata.xml"):
        text = metadata.read_text(encoding="utf-8")
        _replace(metadata, re.sub(r"(<lastUpdated>)[0-9]+", rf"\g<1>{digits}", text))
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.suffix not in {".md5", ".sha1", ".sha256"}:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_name(f"{path.name}.sha256").write_text(digest, encoding="ascii")
    return sorted(path for path in target.rglob("*") if path.is_file())


def _replace(path: Path, text: str) -> None:
    """Write a file anew without what differs between two builds of the same sources, and its digests."""
    path.write_text(text, encoding="utf-8")
    for digest in (hashlib.md5, hashlib.sha1):
        made = digest(text.encode(), usedforsecurity=False)
        path.with_name(f"{path.name}.{made.name}").write_text(made.hexdigest(), encoding="ascii")
