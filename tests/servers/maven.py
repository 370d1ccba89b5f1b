"""The class path of a real server and the archive of its classes, made once and kept in a cache for later tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Of the JVM that runs Maven: a build ends before optimized code would pay."""


def runtime_jars(pom: Path, *more: Path) -> Path:
    """Return the folder that holds the runtime jars of `pom`; Maven fetches them where the cache has none for this pom.

    Its `classes.jar` has the Java sources beside the pom compiled, with the `.properties` beside them and the services
    below META-INF; `more` are such files from elsewhere. Several pytest workers may ask at once: one fetches, the
    others wait for it. The folder appears whole or not at all. Without `java` or `mvn` the test is skipped, loudly;
    under CI=true it is an error.
    """
    for tool, purpose in (("java", "run"), ("mvn", "fetch")):
        if shutil.which(tool) is None:
            _missing(f"{tool!r} is not on the PATH; the tests need it to {purpose} a real {pom.parent.name} server")
    beside = [*_beside(pom), *more]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (pom, *beside)))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc-sidecar-tests"
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / f"{pom.parent.name}-{digest.hexdigest()[:12]}"
    with _made_once(jars):
        if not jars.is_dir():
            _fetch(pom, beside, jars)
    return jars


def class_archive(jars: Path, dump: Callable[[Path], None]) -> Path:
    """Return the archive of the classes that a server loads at its start, which spares it a third of the CPU time.

    `dump` runs the server with `-XX:ArchiveClassesAtExit` for a file, once for these jars and this Java.
    """
    java = Path(shutil.which("java") or "java").resolve()
    digest = hashlib.sha256(f"{java} {java.stat().st_mtime_ns}".encode())
    archive = jars.with_name(f"{jars.name}-{digest.hexdigest()[:12]}.jsa")
    with _made_once(archive):
        if not archive.exists():
            with tempfile.TemporaryDirectory(prefix=f".{archive.name}-", dir=archive.parent) as folder:
                dumped = Path(folder) / archive.name
                dump(dumped)
                dumped.rename(archive)
    return archive


@contextmanager
def _made_once(path: Path) -> Iterator[None]:
    """Let one process at a time look whether `path` is there, and make it."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(pom: Path, sources: list[Path], jars: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{jars.name}-", dir=jars.parent) as folder:
        fetched = Path(folder) / "jars"
        command = ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        command.append(f"-DoutputDirectory={fetched}")
        for attempt in (1, 2, 3):
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
                env={"MAVEN_OPTS": QUICK_START, **os.environ},
            )
            if done.returncode == 0 and any(fetched.glob("*.jar")):
                if sources:
                    _compile(sources, fetched, Path(folder) / "classes")
                fetched.rename(jars)
                return
            if attempt == 3:
                pytest.fail(
                    f"Maven could not fetch the jars of {pom}:\n{(done.stdout + done.stderr)[-4000:]}", pytrace=False
                )


def _beside(pom: Path) -> list[Path]:
    return sorted(
        path
        for path in pom.parent.rglob("*")
        if path.suffix in {".java", ".properties"} or path.parent.name == "services"
    )


def _compile(sources: list[Path], jars: Path, classes: Path) -> None:
    """Compile into `classes.jar`: an archive of classes takes none from a folder."""
    java = [str(source) for source in sources if source.suffix == ".java"]
    command = ["javac", "-proc:none", "-cp", f"{jars}/*", "-d", str(classes), *java]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.fail(f"{', '.join(java)}: does not compile:\n{done.stderr[-4000:]}", pytrace=False)
    services = classes / "META-INF" / "services"
    services.mkdir(parents=True)
    for source in sources:
        if source.suffix != ".java":
            shutil.copy(source, services if source.parent.name == services.name else classes)
    shutil.make_archive(str(jars / "classes"), "zip", classes)
    (jars / "classes.zip").rename(jars / "classes.jar")


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(f"NOT TESTED: {what}")
