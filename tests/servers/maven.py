"""The jars of a real server: resolved by Maven once for each pom, kept in a cache that survives the test run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest


def runtime_jars(pom: Path) -> Path:
    """Return the folder that holds the runtime jars of `pom`; Maven fetches them where the cache has none for this pom.

    Several pytest workers may ask at once: one fetches, the others wait for it. The folder appears whole or not at all.
    Without `java` or `mvn` the test is skipped, loudly; under CI=true it is an error.
    """
    for tool, purpose in (("java", "run"), ("mvn", "fetch")):
        if shutil.which(tool) is None:
            _missing(f"{tool!r} is not on the PATH; the tests need it to {purpose} a real {pom.parent.name} server")
    name = f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc-sidecar-tests"
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _fetch(pom, jars)
    return jars


def _fetch(pom: Path, jars: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{jars.name}-", dir=jars.parent) as folder:
        fetched = Path(folder) / "jars"
        command = ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        command.append(f"-DoutputDirectory={fetched}")
        for attempt in (1, 2, 3):
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode == 0 and any(fetched.glob("*.jar")):
                fetched.rename(jars)
                return
            if attempt == 3:
                pytest.fail(
                    f"Maven could not fetch the jars of {pom}:\n{(done.stdout + done.stderr)[-4000:]}", pytrace=False
                )


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(f"NOT TESTED: {what}")
