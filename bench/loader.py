"""Builds the load generator of bench/load once for each version of its source."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

SOURCE = Path(__file__).parent / "load"


@cache
def load_generator() -> Path:
    """Return the program; Go must be there."""
    digest = sha256(b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dc-sidecar-bench"
    program = folder / f"load-{digest}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print("building the load generator (once) …", flush=True)
        beside = program.with_suffix(".new")
        subprocess.run(["go", "build", "-o", str(beside), "."], cwd=SOURCE, check=True)
        beside.rename(program)
    return program
