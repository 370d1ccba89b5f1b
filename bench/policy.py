"""Measures what a policy costs a hot call: two sidecars on one core, called in turns, one of them with a policy.

    python -m bench.policy [--turns 9]

The policy has a rate, a bound of calls under way and a pattern of applications. A ratio is the median over the turns of
CPU per call, with the policy over without.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from bench.cases import Case, write_frames
from bench.results import SERVER_CORE
from bench.servers import Server
from bench.slices import call

POLICY = """\
callers:
- {name: others, match: ["dns:*.example", "uri:spiffe://example/*"]}
- {name: bench, match: anonymous, apps: ["[!-]*"], rate: 1000000/s, concurrent: 1000, candidates: 20000}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a slice")
    arguments = parser.parse_args()
    case = Case(3, cold=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(POLICY)
        (folder / "routing.yaml").write_text(case.document())
        requests = write_frames(folder / "requests", case.requests())
        document = folder / "routing.yaml"
        with (
            Server.sidecar(document, core=SERVER_CORE) as plain,
            Server.sidecar(document, "--policy", str(folder / "policy.yaml"), core=SERVER_CORE) as guarded,
        ):
            for server in (plain, guarded):
                call(server, requests, arguments.seconds / 2)
            pairs = [
                (call(plain, requests, arguments.seconds), call(guarded, requests, arguments.seconds))
                for _ in range(arguments.turns)
            ]
    without, with_policy = (median(one.cpu_us for one in each) for each in zip(*pairs, strict=True))
    ratio = median(ours.cpu_us / theirs.cpu_us for theirs, ours in pairs)
    print(f"{case.name}: {without:.0f} µs without a policy, {with_policy:.0f} µs with one, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
