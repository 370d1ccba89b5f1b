"""Measures whether a document of 10,000 applications makes a decision more expensive than one of a single application.

    python -m bench.apps [--rounds 7]

Both servers run at the same time on the same core and are called in turns. Two identical servers differ by several
percent in some rounds, for unknown reasons. So both are restarted for each round, and pairs of identical servers are
measured as a baseline.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import results
from bench.cases import Case, write_frames
from bench.results import SERVER_CORE
from bench.servers import Server
from bench.slices import Slice, call, middle

TITLE = "10,000 applications compared with one"
ABOUT = """Calls for 16 of 10,000 applications and for a single one, in turns; both servers restarted for each of 7
rounds. The ratio is the median over the rounds; the last column is the range of the ratio for two identical servers."""
TURNS = 5
CASES = [(candidates, cold) for candidates in (3, 1_000) for cold in (False, True)]


def compare(cases: Sequence[Case], seconds: float) -> tuple[Slice, Slice, float]:
    """Serve two cases for one round; return the medians of both, and the CPU ratio of the second to the first."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        served: list[tuple[Server, Path]] = []
        for number, case in enumerate(cases):
            folder = Path(name) / str(number)
            folder.mkdir()
            (folder / "routing.yaml").write_text(case.document())
            server = Server.sidecar(folder / "routing.yaml", "--max-document-size", "16MiB", core=SERVER_CORE)
            served.append((stack.enter_context(server), write_frames(folder / "requests", case.requests())))
        for server, requests in served:
            call(server, requests, seconds)
        pairs: list[tuple[Slice, Slice]] = []
        for turn in range(TURNS):
            # Alternate the order, so being second is no advantage.
            first, second = (call(*each, seconds) for each in (served if turn % 2 else reversed(served)))
            pairs.append((first, second) if turn % 2 else (second, first))
    first, second = (middle(slices) for slices in zip(*pairs, strict=True))
    return first, second, median(second.cpu_us / first.cpu_us for first, second in pairs)


def measure(candidates: int, *, cold: bool, rounds: int, seconds: float) -> list[str]:
    """Measure one case; return its row of the table."""
    one, many = Case(candidates, cold), Case(candidates, cold, apps=10_000)
    found = [compare((one, many), seconds) for _ in range(rounds)]
    alike = [compare((one, one), seconds)[2] for _ in range(rounds)]
    return [
        f"unary {'cold' if cold else 'hot'}, {candidates:,} candidates",
        f"{median(slices[0].cpu_us for slices in found):,.0f}",
        f"{median(slices[1].cpu_us for slices in found):,.0f}",
        f"{median(ratio for *_, ratio in found):.2f}",
        f"{min(alike):.2f} to {max(alike):.2f}",
    ]


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a slice")
    arguments = parser.parse_args()
    rows = []
    for candidates, cold in CASES:
        rows.append(measure(candidates, cold=cold, rounds=arguments.rounds, seconds=arguments.seconds))
        print(" | ".join(rows[-1]), flush=True)
    heads = "case", "CPU µs, 1 application", "CPU µs, 10,000 applications", "ratio", "two alike"
    results.write(TITLE, "python -m bench.apps", f"{ABOUT}\n\n{results.table(heads, rows)}")


if __name__ == "__main__":
    main()
