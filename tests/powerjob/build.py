"""The adapter's jars, and the tests' scheduler and workers: built by Maven once for each state of their sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADAPTER = ROOT / "adapters" / "powerjob"
PROTOS = ROOT / "protos"
_KEPT = {
    "server.jar": "server/target/dc-sidecar-powerjob-server-*.jar",
    "worker.jar": "worker/target/dc-sidecar-powerjob-worker-*.jar",
    "scheduler.jar": "test-scheduler/target/test-scheduler.jar",
    "test-worker.jar": "test-worker/target/test-worker.jar",
    "worker-lib": "test-worker/target/lib",
}


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Where what Maven built lies: outside the source tree, kept from one test session to the next."""

    folder: Path

    @property
    def server(self) -> Path:
        """Return the jar for the PowerJob server."""
        return self.folder / "server.jar"

    @property
    def scheduler(self) -> Path:
        """Return the test scheduler, one jar as the stock server is."""
        return self.folder / "scheduler.jar"

    @property
    def worker_class_path(self) -> str:
        """Return the class path of the test workers, with the worker's jar of ours in it."""
        return f"{self.folder / 'test-worker.jar'}{os.pathsep}{self.folder / 'worker-lib'}/*"


def build() -> Artifacts:
    """Run Maven, the unit tests of the adapter included, unless the same sources were built before."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            message = f"{tool!r} is not on the PATH; the PowerJob tests need it"
            if os.environ.get("CI") == "true":
                pytest.fail(message, pytrace=False)
            pytest.skip(f"NOT TESTED: {message}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc-sidecar-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"powerjob-{_digest()}"
    with (cache / "powerjob.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _forget_older(cache)
            _build(folder)
    return Artifacts(folder)


def _build(folder: Path) -> None:
    fresh = folder.with_name(f".{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    sources = fresh / "adapters" / "powerjob"
    shutil.copytree(ADAPTER, sources, ignore=shutil.ignore_patterns("target"))
    shutil.copytree(PROTOS, fresh / "protos")
    command = ["mvn", "-B", "-q", "-T", "2", "-f", str(sources / "pom.xml"), "package"]
    for attempt in (1, 2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode == 0:
            break
        output = (done.stdout + done.stderr)[-6000:]
        # Only a download that failed is worth another attempt: a unit test that fails is to be seen.
        if attempt == 2 or "Could not transfer" not in output:
            pytest.fail(f"Maven could not build the adapter:\n{output}", pytrace=False)
    for name, pattern in _KEPT.items():
        (built,) = sources.glob(pattern)
        built.rename(fresh / name)
    reports = fresh / "surefire-reports"
    reports.mkdir()
    for report in sources.glob("*/target/surefire-reports/*.xml"):
        report.rename(reports / report.name)
    shutil.rmtree(fresh / "adapters")
    shutil.rmtree(fresh / "protos")
    fresh.rename(folder)


def _digest() -> str:
    digest = hashlib.sha256()
    for folder in (ADAPTER, PROTOS):
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(ROOT)
            if path.is_file() and "target" not in relative.parts and path.suffix != ".md":
                digest.update(f"{relative}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _forget_older(cache: Path) -> None:
    built = sorted(cache.glob("powerjob-*/"), key=lambda path: path.stat().st_mtime)
    for older in built[:-2]:
        shutil.rmtree(older, ignore_errors=True)
