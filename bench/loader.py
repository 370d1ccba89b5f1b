"""Builds the Go programs of the benchmarks, once for each version."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

SOURCE = Path(__file__).parent / "load"
OPA = "github.com/open-policy-agent/opa@v1.10.1"


@cache
def load_generator() -> Path:
    """Return the path of the load generator in bench/load; needs Go."""
    digest = sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()[:12]
    return _built(f"load-{digest}", "load", ["install", "."])


@cache
def policy_agent() -> Path:
    """Return the path of Open Policy Agent; the build takes minutes."""
    return _built(OPA.rpartition("/")[2], "opa", ["install", "-trimpath", "-ldflags=-s -w", OPA])


def _built(name: str, program: str, command: Sequence[str]) -> Path:
    """Return a program installed by a `go` command, from its folder in the cache."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dc-sidecar-bench"
    folder = cache_folder / name
    if not folder.exists():
        print(f"building {name} (once) …", flush=True)
        beside = cache_folder / f".{name}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        subprocess.run(["go", *command], cwd=SOURCE, env=os.environ | {"GOBIN": str(beside)}, check=True)
        beside.rename(folder)
    return folder / program
