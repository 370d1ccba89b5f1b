"""The first screen of the README, in a clean checkout with an empty home: `make run`, then a question."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.servers.process import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
SIZE_MB = 150


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the tracked files, as a clone has them."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    folder = tmp_path / "checkout"
    folder.mkdir()
    packed = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"], cwd=ROOT, input=files, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "--extract"], cwd=folder, input=packed, check=True)
    return folder


def _size_mb(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def test_make_run_serves_in_an_empty_home(checkout: Path, tmp_path: Path) -> None:
    """It installs less than 150 MB, serves the example, and the command it shows answers.

    The time is printed, not judged: most of it is the network's.
    """
    home = tmp_path / "home"
    home.mkdir()
    address = f"{LOOPBACK}:{free_port()}"
    # Settings of the package index are the machine's; everything else is as after a first login.
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTPS_PROXY"))}
    # A sidecar that is installed already, another version perhaps, is not the one to ask.
    other = tmp_path / "other" / "dc-sidecar"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    path = f"{other.parent}:{os.environ['PATH']}"
    env = {**kept, "HOME": str(home), "PATH": path, "DC_SIDECAR_LISTEN": address}
    began = time.monotonic()
    with subprocess.Popen(
        ["make", "run"], cwd=checkout, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stderr is not None
        ending = threading.Timer(240, os.killpg, (run.pid, signal.SIGKILL))
        ending.start()
        try:
            lines = []
            for line in run.stderr:
                lines.append(line)
                if "first document:" in line:
                    break
            took = time.monotonic() - began
            assert "first document:" in lines[-1], "".join(lines)
            command = next(line.split() for line in lines if " filter " in line)
            assert command[0] == ".venv-run/bin/dc-sidecar"
            asked = subprocess.run(
                command, cwd=checkout, env=env, capture_output=True, text=True, timeout=60, check=False
            )
            assert re.match(r"dc1  SPLIT  2 of 3 candidates", asked.stdout), asked.stderr
        finally:
            ending.cancel()
            os.killpg(run.pid, signal.SIGTERM)
    size = _size_mb(checkout / ".venv-run")
    print(f"from nothing to serving: {took:.1f} s, {size:.0f} MB")
    assert size < SIZE_MB
