"""Calls a server at full speed for short slices and measures its cost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.loader import load_generator
from bench.results import CLIENT_CORE
from bench.servers import Server


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of one server: CPU microseconds per call, calls per second, latencies in microseconds."""

    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    p999_us: float


def call(server: Server, requests: Path, seconds: float, *flags: str) -> Slice:
    """Call a server for a while; `flags` are the load generator's. Raises RuntimeError if a call fails."""
    before = server.cpu_s()
    command = ["taskset", "-c", str(CLIENT_CORE), str(load_generator()), "-target", f"127.0.0.1:{server.port}"]
    command += ["-requests", str(requests), "-seconds", str(seconds), *flags]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    used = server.cpu_s() - before
    if report["failed"] or not report["calls"]:
        raise RuntimeError(f"calls failed: {report}")
    return Slice(
        used / report["calls"] * 1e6,
        report["calls"] / report["seconds"],
        report["p50_us"],
        report["p99_us"],
        report["p999_us"],
    )


def middle(slices: Sequence[Slice]) -> Slice:
    """Return the median of each figure."""
    return Slice(*(median(getattr(each, name) for each in slices) for name in Slice.__slots__))
