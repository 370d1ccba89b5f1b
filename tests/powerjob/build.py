"""The adapter's jars, and the tests' scheduler and workers: built by Maven once for each state of their sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.maven import QUICK_START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).parents[2]
ADAPTERS = ROOT / "adapters"
CLIENT = (ADAPTERS / "pom.xml", ADAPTERS / "java")
PROTOS = ROOT / "protos"
_MODULES = ("server", "worker", "test-scheduler", "test-server-4", "test-worker")
_KEPT = {
    "server.jar": "server/target/dc-sidecar-powerjob-server-*.jar",
    "worker.jar": "worker/target/dc-sidecar-powerjob-worker-*.jar",
    "scheduler.jar": "test-scheduler/target/test-scheduler.jar",
    "server-4.jar": "test-server-4/target/test-server-4.jar",
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
    def server_4(self) -> Path:
        """Return the stock server 4.3.9, one jar as its own build makes it."""
        return self.folder / "server-4.jar"

    @property
    def worker_class_path(self) -> str:
        """Return the class path of the test workers, with the worker's jar of ours in it."""
        return f"{self.folder / 'test-worker.jar'}{os.pathsep}{self.folder / 'worker-lib'}/*"


def build() -> Artifacts:
    """Run Maven, the unit tests of the adapter included, unless the same sources were built before."""
    return Artifacts(built("powerjob", (*CLIENT, ADAPTERS / "powerjob", PROTOS), ("java", "mvn"), _build))


def built(name: str, sources: Sequence[Path], tools: Sequence[str], make: Callable[[Path], None]) -> Path:
    """Return a cached folder that `make` has filled, calling it only where these sources were not built before.

    `make` gets a folder that does not exist yet. Several pytest workers may ask at once: one builds, the others wait.
    Without the tools the test is skipped, loudly; under CI=true it fails.
    """
    for tool in tools:
        if shutil.which(tool) is None:
            message = f"{tool!r} is not on the PATH; the tests need it to build {name}"
            if os.environ.get("CI") == "true":
                pytest.fail(message, pytrace=False)
            pytest.skip(f"NOT TESTED: {message}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc-sidecar-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{_digest(sources)}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _forget_older(cache, name)
            fresh = folder.with_name(f".{folder.name}")
            shutil.rmtree(fresh, ignore_errors=True)
            make(fresh)
            fresh.rename(folder)
    return folder


def maven(*arguments: str) -> None:
    """Run Maven; a download that failed is tried once more, anything else fails the test with what Maven said."""
    for attempt in (1, 2):
        environment = {"MAVEN_OPTS": QUICK_START, **os.environ}
        words = ["mvn", "-B", "-q", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False, env=environment)
        if done.returncode == 0:
            return
        output = (done.stdout + done.stderr)[-6000:]
        if attempt == 2 or "Could not transfer" not in output:
            pytest.fail(f"mvn {' '.join(arguments)}:\n{output}", pytrace=False)


def package(fresh: Path, *modules: str, flags: Sequence[str] = ()) -> Path:
    """Run Maven, unit tests included, on a copy of the adapters in `fresh`; return the copy."""
    sources = fresh / "adapters"
    shutil.copytree(ADAPTERS, sources, ignore=shutil.ignore_patterns("target"))
    shutil.copytree(PROTOS, fresh / "protos")
    wanted = ",".join(f":{module}" for module in modules)
    maven("-T", "2", "-f", str(sources / "pom.xml"), "-pl", wanted, "-am", *flags, "package")
    return sources


def keep(sources: Path, fresh: Path, patterns: Mapping[str, str]) -> None:
    """Move what Maven made into `fresh`, under new names, and delete the copy of the sources."""
    for name, pattern in patterns.items():
        (found,) = sources.glob(pattern)
        found.rename(fresh / name)
    shutil.rmtree(fresh / "adapters")
    shutil.rmtree(fresh / "protos")


def _build(fresh: Path) -> None:
    sources = package(fresh, *(f"dc-sidecar-powerjob-{module}" for module in _MODULES))
    keep(sources / "powerjob", fresh, _KEPT)


def _digest(sources: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for folder in sources:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            relative = path.relative_to(ROOT)
            if path.is_file() and "target" not in relative.parts and path.suffix != ".md":
                digest.update(f"{relative}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _forget_older(cache: Path, name: str) -> None:
    kept = sorted(cache.glob(f"{name}-*/"), key=lambda path: path.stat().st_mtime)
    for older in kept[:-2]:
        shutil.rmtree(older, ignore_errors=True)
