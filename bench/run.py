"""Measures what the sidecar costs over a handler that does nothing; writes RESULTS.md. Run by `make bench`.

Both servers are up at the same time, on the same core, and are called in turns, a short slice each: whatever else the
machine does meets both. A ratio is the median over the turns of CPU per call, sidecar over no-op.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import grpc

from bench.cases import Case, write_frames
from bench.loader import load_generator
from bench.servers import Server

SERVER_CORE, CLIENT_CORE = 0, 1
RESULTS = Path(__file__).parent / "RESULTS.md"

CASES = [
    *(Case(candidates, cold) for candidates in (3, 100, 1_000, 10_000) for cold in (False, True)),
    *(Case(candidates, cold, apps=10_000) for candidates in (3, 1_000) for cold in (False, True)),
    *(Case(candidates, cold, stream=True) for candidates in (3, 100, 1_000) for cold in (False, True)),
]


@dataclass(frozen=True, slots=True)
class Slice:
    """One turn of one server: CPU microseconds per call, calls a second, latencies in microseconds."""

    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    p999_us: float


@dataclass(frozen=True, slots=True)
class Result:
    """Medians over the turns."""

    case: Case
    ratio: float
    noop: Slice
    sidecar: Slice


def call(server: Server, requests: Path, case: Case, seconds: float) -> Slice:
    """Call a server for a while."""
    before = server.cpu_s()
    command = [
        *("taskset", "-c", str(CLIENT_CORE), str(load_generator())),
        *("-target", f"127.0.0.1:{server.port}", "-requests", str(requests), "-seconds", str(seconds)),
        *("-concurrency", "4" if case.stream else "16", "-window", "16" if case.stream else "0"),
    ]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    used = server.cpu_s() - before
    if told["failed"] or not told["calls"]:
        raise RuntimeError(f"{case.name}: {told}")
    return Slice(
        used / told["calls"] * 1e6, told["calls"] / told["seconds"], told["p50_us"], told["p99_us"], told["p999_us"]
    )


def measure(case: Case, folder: Path, *, turns: int, seconds: float) -> Result:
    """Measure one case."""
    document = folder / "routing.yaml"
    document.write_text(case.document())
    requests = write_frames(folder / "requests", case.requests())
    response = write_frames(folder / "response", [case.response()])
    pairs: list[tuple[Slice, Slice]] = []
    with (
        Server.noop(response, core=SERVER_CORE) as noop,
        Server.sidecar(document, "--max-document-size", "16MiB", core=SERVER_CORE) as sidecar,
    ):
        for server in (noop, sidecar):
            call(server, requests, case, seconds / 2)
        pairs.extend(
            (call(noop, requests, case, seconds), call(sidecar, requests, case, seconds)) for _ in range(turns)
        )
    return Result(
        case,
        median(ours.cpu_us / theirs.cpu_us for theirs, ours in pairs),
        middle([theirs for theirs, _ in pairs]),
        middle([ours for _, ours in pairs]),
    )


def middle(slices: list[Slice]) -> Slice:
    """Return the median of each figure."""
    return Slice(*(median(getattr(each, name) for each in slices) for name in Slice.__slots__))


def table(results: list[Result]) -> str:
    """Return the results as a table."""
    lines = [
        "| case | CPU ratio | no-op CPU µs | sidecar CPU µs | sidecar calls/s | p50 µs | p99 µs | p99.9 µs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        ours = result.sidecar
        lines.append(
            f"| {result.case.name} | {result.ratio:.2f} | {result.noop.cpu_us:.0f} | {ours.cpu_us:.0f} "
            f"| {ours.rate:,.0f} | {ours.p50_us:,.0f} | {ours.p99_us:,.0f} | {ours.p999_us:,.0f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Return what was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, Python {platform.python_version()}, "
        f"grpcio {grpc.__version__}; server on core {SERVER_CORE}, client on core {CLIENT_CORE}"
    )


def main() -> None:
    """Measure all cases, or those whose name holds a text, and write or print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="measure the cases whose name holds this text, and only print")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a slice")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if arguments.only in case.name:
                result = measure(case, Path(folder), turns=arguments.turns, seconds=arguments.seconds)
                results.append(result)
                print(table([result]).splitlines()[-1], flush=True)
    if not arguments.only:
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        RESULTS.write_text(f"# Results\n\n`make bench`, {when}. {machine()}.\n\n{table(results)}\n")


if __name__ == "__main__":
    main()
