"""Measures the footprint of `serve`: seconds from start to first answer, and resident memory when idle.

    python -m bench.footprint [--rounds 5] [--nacos]

With `--nacos` the source is a real Nacos, started as in the tests; otherwise a file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import results
from bench.cases import Case
from bench.results import SERVER_CORE
from bench.servers import Server
from tests.servers.nacos.server import NacosServer, source_url

TITLE = "Memory and start"
WITH_NACOS = "Memory and start, with Nacos"
# When startup is complete.
SETTLED_S = 5.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """Seconds and CPU seconds from start to first decision, and resident memory in MiB some seconds later."""

    start_s: float
    cpu_s: float
    rss_mib: float


def measure(source: str, flags: Sequence[str], folder: Path) -> Footprint:
    """Start a sidecar, measure, and stop it; `{}` in a flag stands for a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as state:
        began = time.perf_counter()
        with Server.serving(source, *(flag.format(state) for flag in flags), core=SERVER_CORE) as server:
            started, used = time.perf_counter() - began, server.cpu_s()
            time.sleep(SETTLED_S)
            return Footprint(started, used, server.rss_mib())


@contextmanager
def nacos(folder: Path) -> Iterator[str]:
    """Start a Nacos with a document; yield the source URL."""
    with NacosServer(folder / "nacos") as server:
        server.operator.publish("footprint", "dc1")
        yield source_url([server], "footprint")


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nacos", action="store_true", help="measure with a Nacos (needs Java and Maven)")
    arguments = parser.parse_args()
    rows: list[list[str]] = []

    def add(name: str, source: str, *flags: str) -> None:
        taken = [measure(source, flags, folder) for _ in range(arguments.rounds)]
        start, cpu = median(each.start_s for each in taken), median(each.cpu_s for each in taken)
        rows.append([name, f"{start:.2f} s", f"{cpu:.2f} s", f"{median(each.rss_mib for each in taken):.1f} MiB"])
        print(" | ".join(rows[-1]), flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every = "--http", "127.0.0.1:0", "--state-dir", "{}"
        if arguments.nacos:
            with nacos(folder) as source:
                add("Nacos", source)
                add("Nacos, with page, metrics, snapshot and audit", source, *every)
        else:
            small, big = folder / "small.yaml", folder / "big.yaml"
            small.write_text("dc1")
            big.write_text(Case(3, cold=False, apps=10_000).document())
            add("file", f"file:{small}")
            add("file, with page, metrics, snapshot and audit", f"file:{small}", *every)
            add("file of 10,000 applications", f"file:{big}")
    about = (
        f"Medians of {arguments.rounds} starts: time to the first answered decision, and resident memory "
        f"{SETTLED_S:g} s later."
    )
    command = "python -m bench.footprint" + " --nacos" * arguments.nacos
    text = results.table(("source", "start to first answer", "its CPU time", "resident, idle"), rows)
    results.write(WITH_NACOS if arguments.nacos else TITLE, command, f"{about}\n\n{text}")


if __name__ == "__main__":
    main()
