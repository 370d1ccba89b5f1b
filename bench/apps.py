"""Measures whether a document of 10,000 applications makes a decision cost more than one of a single application.

    python -m bench.apps [--turns 15]

Both are served at the same time, on the same core, and called in turns.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import results
from bench.cases import Case, write_frames
from bench.results import SERVER_CORE
from bench.servers import Server
from bench.slices import Slice, call, middle

TITLE = "10,000 applications beside one"
ABOUT = "Calls for 16 of 10,000 applications and for the only one, in turns; the ratio is the median over the turns."
CASES = [(candidates, cold) for candidates in (3, 1_000) for cold in (False, True)]


def measure(candidates: int, *, cold: bool, turns: int, seconds: float) -> list[str]:
    """Measure one case; return its line of the table."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        served: list[tuple[Server, Path]] = []
        for case in (Case(candidates, cold), Case(candidates, cold, apps=10_000)):
            folder = Path(name) / str(case.apps)
            folder.mkdir()
            (folder / "routing.yaml").write_text(case.document())
            server = Server.sidecar(folder / "routing.yaml", "--max-document-size", "16MiB", core=SERVER_CORE)
            served.append((stack.enter_context(server), write_frames(folder / "requests", case.requests())))
        for server, requests in served:
            call(server, requests, seconds / 2)
        pairs: list[tuple[Slice, Slice]] = []
        for turn in range(turns):
            # Whoever comes second is at no advantage.
            slices = [call(*each, seconds) for each in (served if turn % 2 else reversed(served))]
            pairs.append((slices[0], slices[1]) if turn % 2 else (slices[1], slices[0]))
    ratio = median(many.cpu_us / one.cpu_us for one, many in pairs)
    one, many = (middle(slices) for slices in zip(*pairs, strict=True))
    kind = "cold" if cold else "hot"
    return [f"unary {kind}, {candidates:,} candidates", f"{one.cpu_us:,.0f}", f"{many.cpu_us:,.0f}", f"{ratio:.2f}"]


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a slice")
    arguments = parser.parse_args()
    rows = []
    for candidates, cold in CASES:
        rows.append(measure(candidates, cold=cold, turns=arguments.turns, seconds=arguments.seconds))
        print(" | ".join(rows[-1]), flush=True)
    heads = "case", "CPU µs, 1 application", "CPU µs, 10,000 applications", "ratio"
    results.write(TITLE, "python -m bench.apps", f"{ABOUT}\n\n{results.table(heads, rows)}")


if __name__ == "__main__":
    main()
