"""Measures how long a shell waits for `dc-sidecar switch <TAB>`: a process that reads the live document.

    python -m bench.completion [--rounds 20] [--servers]

With `--servers` also from a real Nacos and a real ZooKeeper, started as in the tests. Modules are compiled, as pip
leaves them. Sources are asked in turn, beside a Python that does nothing; the least of the rounds counts, as a busy
machine only ever adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from bench import results
from bench.cases import Case
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client

TITLE = "Completion"
_COMMAND = [str(Path(sys.executable).with_name("dc-sidecar"))]
_ALLOWED_S = 0.2


def completion(source: str, compiled: str) -> Mapping[str, str]:
    """Return the environment in which a shell asks for the applications of a source."""
    return {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": compiled,
        "_DC_SIDECAR_COMPLETE": "bash_complete",
        "COMP_WORDS": "dc-sidecar switch app",
        "COMP_CWORD": "2",
        "DC_SIDECAR_SOURCE": source,
    }


def measure(words: list[str], environment: Mapping[str, str]) -> tuple[float, float, bytes]:
    """Return the seconds and the CPU seconds of a command, and what it printed."""
    before, began = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, check=True)
    took, after = time.perf_counter() - began, getrusage(RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def sources(stack: ExitStack, folder: Path, *, servers: bool) -> Iterator[tuple[str, str, int]]:
    """Start what is needed; yield each source's name, URL and number of applications."""
    for name, count in (("file", 3), ("file of 10,000 applications", 10_000)):
        document = Case(3, cold=False, apps=count).document()
        path = folder / f"{count}.yaml"
        path.write_text(document)
        yield name, f"file:{path}", count
    if servers:
        document = Case(3, cold=False, apps=3).document()
        nacos = stack.enter_context(NacosServer(folder / "nacos"))
        nacos.operator.publish("completion", document)
        yield "Nacos", source_url([nacos], "completion"), 3
        zookeeper = stack.enter_context(ZooKeeperServer(folder / "zookeeper"))
        with zookeeper_client(zookeeper.address) as operator:
            operator.create("/completion", document.encode())
        yield "ZooKeeper", f"zookeeper://{zookeeper.address}/completion", 3


def main() -> int:
    """Measure, and write the results; return 1 where a shell waits too long."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--servers", action="store_true", help="measure with Nacos and ZooKeeper (needs Java, Maven)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        compiled = str(folder / "compiled")
        asked = list(sources(stack, folder, servers=arguments.servers))
        cases = {"a Python that does nothing": ([sys.executable, "-c", "pass"], completion("", compiled), 0)}
        cases |= {name: (_COMMAND, completion(url, compiled), count) for name, url, count in asked}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        unanswered = 0
        for round_ in range(arguments.rounds + 1):
            for name, (words, environment, count) in cases.items():
                took, used, printed = measure(words, environment)
                if printed.count(b"plain,app") != count:
                    unanswered += 1
                elif round_:  # The first one compiles.
                    taken[name].append((took, used))
    best = {name: tuple(map(min, zip(*rounds, strict=True))) for name, rounds in taken.items()}
    rows = [[name, *(f"{seconds * 1000:.0f} ms" for seconds in both)] for name, both in best.items()]
    about = (
        f"The least of {arguments.rounds} rounds: from the key press to the names, and the CPU time of that. "
        f"{unanswered or 'No'} request{'s were' if unanswered > 1 else ' was'} without an answer within its second."
    )
    command = "python -m bench.completion" + " --servers" * arguments.servers
    results.write(TITLE, command, f"{about}\n\n{results.table(['source', 'waited', 'CPU'], rows)}")
    for row in rows:
        print(" | ".join(row))
    return 0 if all(took < _ALLOWED_S for took, _ in best.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
