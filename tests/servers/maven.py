"""The class path of a real server: fetched and compiled once for each pom, kept in a cache that survives the tests."""

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

    Where Java sources stand beside the pom, its folder `classes` has them compiled, with the `.properties` beside them.
    Several pytest workers may ask at once: one fetches, the others wait for it. The folder appears whole or not at all.
    Without `java` or `mvn` the test is skipped, loudly; under CI=true it is an error.
    """
    for tool, purpose in (("java", "run"), ("mvn", "fetch")):
        if shutil.which(tool) is None:
            _missing(f"{tool!r} is not on the PATH; the tests need it to {purpose} a real {pom.parent.name} server")
    beside = _beside(pom)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (pom, *beside)))
    name = f"{pom.parent.name}-{digest.hexdigest()[:12]}"
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
                _compile(_beside(pom), fetched)
                fetched.rename(jars)
                return
            if attempt == 3:
                pytest.fail(
                    f"Maven could not fetch the jars of {pom}:\n{(done.stdout + done.stderr)[-4000:]}", pytrace=False
                )


def _beside(pom: Path) -> list[Path]:
    return sorted(path for path in pom.parent.iterdir() if path.suffix in {".java", ".properties"})


def _compile(sources: list[Path], jars: Path) -> None:
    classes = jars / "classes"
    for source in sources:
        classes.mkdir(exist_ok=True)
        if source.suffix == ".java":
            command = ["javac", "-proc:none", "-cp", f"{jars}/*", "-d", str(classes), str(source)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.fail(f"{source} does not compile:\n{done.stderr[-4000:]}", pytrace=False)
        else:
            shutil.copy(source, classes)


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(f"NOT TESTED: {what}")
