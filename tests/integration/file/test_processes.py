"""The file source among other processes: writers that race or are killed, rights that come and go, exhausted limits."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.errors import SourceError
from sidecar.sources import file
from sidecar.sources.base import Content
from tests.integration.file.watched import Watch
from tests.waiting import eventually

APPEND = """
import json, sys
from sidecar.errors import WriteConflict
from sidecar.sources.base import Content
from sidecar.sources.file import open_source

source = open_source("file:" + sys.argv[1], {})
refused = 0
for number in range(int(sys.argv[3])):
    while True:
        seen = source.read(10)
        known = json.loads(seen.text) if isinstance(seen, Content) else []
        version = seen.version if isinstance(seen, Content) else None
        try:
            source.write(json.dumps([*known, f"{sys.argv[2]}-{number}"]).encode(), version, 60)
        except WriteConflict:
            refused += 1
        else:
            break
print(refused)
"""

WRITE_FOR_EVER = """
import sys
from sidecar.sources.file import open_source

source = open_source("file:" + sys.argv[1], {})
version = source.read(10).version
texts = [letter.encode() * 1_000_000 for letter in "ab"]
print("ready", flush=True)
while True:
    for text in texts:
        version = source.write(text, version, 10)
"""

REPORT = """
import os, sys
import sidecar.sources.file_watch
from sidecar.sources.base import Content
from sidecar.sources.file import open_source

# All is imported: without rights the modules may be out of reach.
if os.geteuid() == 0 and sys.argv[2] == "drop":
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
source = open_source("file:" + sys.argv[1], {})
source.start(lambda report: print(report.text.decode() if isinstance(report, Content) else report, flush=True))
sys.stdin.read()
source.stop(5)
"""


HOLD_THE_LOCK = """
import fcntl, os, sys, time

fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print(flush=True)
time.sleep(99)
"""


def names_in(directory: Path) -> list[str]:
    """Return the sorted names of all that is there."""
    return sorted(entry.name for entry in directory.iterdir())


@contextmanager
def reporter(path: Path, lines: Path, *prefix: str) -> Iterator[Callable[[], str]]:
    """Run a source in a process of its own, as a user without rights; yield a function that returns its last report."""
    with lines.open("w") as out:
        command = [*prefix, sys.executable, "-c", REPORT, str(path), "keep" if prefix else "drop"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield lambda: (lines.read_text().splitlines() or [""])[-1]
        finally:
            process.communicate(timeout=20)
            assert process.returncode == 0, lines.read_text()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Yield a directory that a process without rights reaches, as it does not reach tmp_path."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_twenty_writers_lose_nothing(tmp_path: Path) -> None:
    """Twenty processes change one file by read and write at once: each change is kept or refused, none is lost."""
    path = tmp_path / "x.json"
    writers = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(path), str(writer), "5"], stdout=subprocess.PIPE, text=True)
        for writer in range(20)
    ]
    refused = sum(int(writer.communicate(timeout=120)[0]) for writer in writers)
    assert all(writer.returncode == 0 for writer in writers)
    kept = json.loads(path.read_text())
    assert sorted(kept) == sorted(f"{writer}-{number}" for writer in range(20) for number in range(5))
    assert refused > 0
    assert names_in(tmp_path) == ["x.json"]


def test_a_killed_writer_leaves_the_old_text_or_the_new_one(tmp_path: Path, watch: Watch) -> None:
    """Writers killed at any moment never leave a torn text, nor more than one file, which the next write takes away."""
    dice = random.Random(3)
    path = tmp_path / "x.yaml"
    path.write_text("a" * 1_000_000)
    watched = watch(path)
    left = set()
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(dice.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in {b"a" * 1_000_000, b"b" * 1_000_000}
        left.add(tuple(names_in(tmp_path)))
    assert left <= {("x.yaml",), (".dc-sidecar-write", "x.yaml")}
    (tmp_path / ".dc-sidecar-write").write_text("left by a killed writer")
    seen = watched.source.read(5)
    assert isinstance(seen, Content)
    watched.source.write(b"dc1", seen.version, 5)
    assert names_in(tmp_path) == ["x.yaml"]
    watched.reaches("dc1")
    assert {len(text) for text in watched.texts()} <= {1_000_000, 3}


def test_lost_rights_are_reported_and_regained_ones_used(open_directory: Path, tmp_path: Path) -> None:
    """A file, then its directory, that may not be read is Unreachable, with who is to be let in; then it is back."""
    directory = open_directory / "etc"
    directory.mkdir(mode=0o755)
    path = directory / "x.yaml"
    path.write_text("dc1")
    path.chmod(0o644)
    with reporter(path, tmp_path / "lines") as last:
        eventually(lambda: last() == "dc1", "the first text")
        for what, rights in ((path, 0o644), (directory, 0o755)):
            what.chmod(0)
            eventually(lambda: "Unreachable" in last() and "read access" in last(), "the refusal")
            path.write_text(f"after {what.name}") if os.geteuid() == 0 else None
            what.chmod(rights)
            eventually(lambda: last() in {"dc1", f"after {what.name}"}, "the text again")  # noqa: B023
        path.write_text("dc2")
        eventually(lambda: last() == "dc2", "a change after it")


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
@pytest.mark.timed
def test_without_inotify_the_looks_go_on(limit: str, tmp_path: Path) -> None:
    """Where the inotify instances or watches are used up, one line says so, and changes are seen in 2 s."""
    none_left = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", none_left, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no user namespaces here")
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    lines = tmp_path / "lines"
    with reporter(path, lines, *prefix) as last:
        eventually(lambda: last() == "dc1", "the first text")
        for text in ("dc2", "dc3"):
            began = time.monotonic()
            path.write_text(text)
            eventually(lambda: last() == text, text)  # noqa: B023
            assert time.monotonic() - began < 2
    assert lines.read_text().count("the system refuses to watch") == 1


def test_a_writer_that_holds_the_lock_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    """A process stopped in the middle of a write makes others fail in their time, saying why; the file is unharmed."""
    path = tmp_path / "x.yaml"
    path.write_text("dc1")
    source = file.open_source(f"file:{path}", {})
    seen = source.read(1)
    assert isinstance(seen, Content)
    with subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(SourceError, match="another writer"):
            source.write(b"dc2", seen.version, 0.2)
        assert path.read_text() == "dc1"
        holder.kill()
    source.write(b"dc2", seen.version, 5)
    assert path.read_text() == "dc2"
