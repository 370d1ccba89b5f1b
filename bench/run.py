"""Measures the cost of a call to the sidecar relative to a no-op handler.

    python -m bench.run [--only "cold, 3 candidates"] [--call-handling threads] [--call-reading threads]

Both servers run at the same time on the same core and are called in turns, in short slices, so other load affects both.
A ratio is the median over the turns of CPU per call, sidecar over no-op.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import results
from bench.cases import Case, write_frames
from bench.results import SERVER_CORE
from bench.servers import Server
from bench.slices import Slice, call, middle

TITLE = "Compared with a no-op handler"
ABOUT = """Hot: the same 16 requests repeat. Cold: each request is for a new run, with workers seen before. Strange: one
worker reports something new in each request. Ratios are medians over the turns."""

CASES = [
    *(Case(candidates, cold) for candidates in (3, 100, 1_000, 10_000) for cold in (False, True)),
    *(Case(candidates, cold=True, strange=True) for candidates in (3, 100, 1_000)),
    *(Case(candidates, cold, apps=10_000) for candidates in (3, 1_000) for cold in (False, True)),
    *(Case(candidates, cold, stream=True) for candidates in (3, 100, 1_000, 10_000) for cold in (False, True)),
]


@dataclass(frozen=True, slots=True)
class Result:
    """Medians over the turns."""

    case: Case
    ratio: float
    noop: Slice
    sidecar: Slice


def measure(case: Case, folder: Path, *, turns: int, seconds: float, serve_flags: tuple[str, ...] = ()) -> Result:
    """Measure one case."""
    document = folder / "routing.yaml"
    document.write_text(case.document())
    requests = write_frames(folder / "requests", case.requests())
    response = write_frames(folder / "response", [case.response()])
    flags = ("-concurrency", "4", "-window", "16") if case.stream else ()
    pairs: list[tuple[Slice, Slice]] = []
    with (
        Server.noop(response, core=SERVER_CORE) as noop,
        Server.sidecar(document, "--max-document-size", "16MiB", *serve_flags, core=SERVER_CORE) as sidecar,
    ):
        for server in (noop, sidecar):
            call(server, requests, seconds / 2, *flags)
        pairs.extend(
            (call(noop, requests, seconds, *flags), call(sidecar, requests, seconds, *flags)) for _ in range(turns)
        )
    return Result(
        case,
        median(ours.cpu_us / theirs.cpu_us for theirs, ours in pairs),
        middle([theirs for theirs, _ in pairs]),
        middle([ours for _, ours in pairs]),
    )


def table(measured: list[Result]) -> str:
    """Return the results as a table."""
    heads = "case", "CPU ratio", "no-op CPU µs", "sidecar CPU µs", "sidecar calls/s", "p50 µs", "p99 µs", "p99.9 µs"
    return results.table(heads, map(row, measured))


def row(result: Result) -> list[str]:
    """Return a row of the table."""
    ours = result.sidecar
    figures = [result.noop.cpu_us, ours.cpu_us, ours.rate, ours.p50_us, ours.p99_us, ours.p999_us]
    return [result.case.name, f"{result.ratio:.2f}", *(f"{figure:,.0f}" for figure in figures)]


def main() -> None:
    """Measure all cases and write the results, or the selected ones and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="measure and print only cases whose name contains this text")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a slice")
    parser.add_argument("--call-handling", choices=("direct", "threads"), help="only print, with calls handled so")
    parser.add_argument("--call-reading", choices=("direct", "threads"), help="only print, with connections read so")
    arguments = parser.parse_args()
    chosen = {"--call-handling": arguments.call_handling, "--call-reading": arguments.call_reading}
    serve_flags = tuple(word for flag, value in chosen.items() if value for word in (flag, value))
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if arguments.only in case.name:
                found = measure(
                    case, Path(folder), turns=arguments.turns, seconds=arguments.seconds, serve_flags=serve_flags
                )
                measured.append(found)
                print(" | ".join(row(measured[-1])), flush=True)
    if not arguments.only and not serve_flags:
        results.write(TITLE, "python -m bench.run", f"{ABOUT}\n\n{table(measured)}")


if __name__ == "__main__":
    main()
