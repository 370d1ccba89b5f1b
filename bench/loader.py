"""Builds the programs in Go that measuring needs, once for each version of them."""

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
    """Return the program of bench/load; Go must be there."""
    digest = sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()[:12]
    return _built(f"load-{digest}", "load", ["install", "."])


@cache
def policy_agent() -> Path:
    """Return Open Policy Agent; building it takes minutes."""
    return _built(OPA.rpartition("/")[2], "opa", ["install", "-trimpath", "-ldflags=-s -w", OPA])


def _built(name: str, program: str, command: Sequence[str]) -> Path:
    """Return the program that a command of Go installed, from the cache's folder of this name."""
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
