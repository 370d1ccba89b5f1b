"""Measures the gain of a second worker process, and how far apart the processes are at a document change.

    python -m bench.workers [--turns 9] [--changes 20]

Servers with one and with two processes are called in turns. They share both cores with the load generator, as on a
two-core machine: CPU used by the generator is not available to them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

import grpc
import psutil

from bench import results
from bench.cases import Case, write_frames
from bench.loader import load_generator
from bench.results import CLIENT_CORE, SERVER_CORE, table
from bench.servers import Server
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.document import revision_of

TITLE = "Worker processes"
CASES = [Case(3, cold=False), Case(100, cold=False), Case(100, cold=True), Case(1_000, cold=True)]
BOTH = f"{SERVER_CORE},{CLIENT_CORE}"
MOST_CONNECTIONS = 64


class Sidecar(Server):
    """A sidecar with a number of worker processes, on both cores."""

    @classmethod
    def of(cls, workers: int, document: Path) -> Self:
        """Return a sidecar with a file source."""
        flags = ("--workers", str(workers), "--max-document-size", "16MiB")
        return cls.sidecar(document, *flags, core=BOTH)

    def processes(self) -> list[psutil.Process]:
        """Return all its processes, the parent first."""
        first = psutil.Process(self.pid)
        return [first, *first.children()]

    def answering(self) -> list[psutil.Process]:
        """Return the worker processes."""
        return self.processes()[1:] or self.processes()

    def cpu_s(self) -> float:
        """Return the CPU time of all of them."""
        return sum(
            int((task / "schedstat").read_text().split()[0]) / 1e9
            for process in self.processes()
            for task in Path(f"/proc/{process.pid}/task").iterdir()
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """Calls per second, and CPU microseconds per call of the server and of the generator."""

    rate: float
    cpu_us: float
    generator_us: float


def call(server: Sidecar, requests: Path, seconds: float) -> Turn:
    """Call a server at full speed on many connections, so each process has some."""
    before, ours = server.cpu_s(), children_s()
    report = json.loads(subprocess.run(generator(server, requests, seconds), check=True, stdout=subprocess.PIPE).stdout)
    if report["failed"] or not report["calls"]:
        raise RuntimeError(f"calls failed: {report}")
    each = 1e6 / report["calls"]
    return Turn(report["calls"] / report["seconds"], (server.cpu_s() - before) * each, (children_s() - ours) * each)


def children_s() -> float:
    """Return the CPU time of this process's terminated children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def generator(server: Sidecar, requests: Path, seconds: float) -> list[str]:
    """Return the command of the load generator."""
    flags = ("-requests", str(requests), "-seconds", str(seconds), "-concurrency", "32", "-connections", "16")
    return ["taskset", "-c", BOTH, str(load_generator()), "-target", f"127.0.0.1:{server.port}", *flags]


def gain(case: Case, folder: Path, *, turns: int, seconds: float) -> list[str]:
    """Measure one case; return its row of the table."""
    document = folder / "routing.yaml"
    document.write_text(case.document())
    requests = write_frames(folder / "requests", case.requests())
    with Sidecar.of(1, document) as one, Sidecar.of(2, document) as two:
        for server in (one, two):
            call(server, requests, seconds / 2)
        pairs = [(call(one, requests, seconds), call(two, requests, seconds)) for _ in range(turns)]
    rate, cpu = (median(getattr(b, name) / getattr(a, name) for a, b in pairs) for name in ("rate", "cpu_us"))
    figures = [median(turn.rate for turn in turns_) for turns_ in zip(*pairs, strict=True)]
    costs = [median(turn.cpu_us for turn in turns_) for turns_ in zip(*pairs, strict=True)]
    generating = median(turn.generator_us for _, turn in pairs)
    # The upper bound if both cores were never idle.
    most = 2e6 / (costs[1] + generating) / figures[0]
    return [
        case.name,
        *(f"{figure:,.0f}" for figure in figures),
        f"{rate:.2f}",
        *(f"{c:,.0f}" for c in costs),
        f"{cpu:.2f}",
        f"{generating:,.0f}",
        f"{most:.2f}",
    ]


class Prober:
    """Polls one worker process over its own connection for the revision in force."""

    def __init__(self, server: Sidecar) -> None:
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._ask = self._channel.unary_unary(
            "/dcsidecar.v1.RoutingService/FilterWorkers",
            request_serializer=pb.FilterWorkersRequest.SerializeToString,
            response_deserializer=pb.FilterWorkersResponse.FromString,
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        before = self._ours(server)
        self.revision = self._ask(pb.FilterWorkersRequest(app="app")).revision
        # For each revision: the time of the first answer, and the start of the last call answered by it.
        self.came: dict[str, float] = {}
        self.asked: dict[str, float] = {}
        (ours,) = self._ours(server) - before
        self.pid = next(
            process.pid
            for process in server.answering()
            if any(
                each.status == psutil.CONN_ESTABLISHED and each.raddr.port == ours
                for each in process.net_connections("tcp")
            )
        )

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._channel.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self.revision = self._ask(pb.FilterWorkersRequest(app="app")).revision
            self.came.setdefault(self.revision, time.monotonic())
            self.asked[self.revision] = began

    def _ours(self, server: Sidecar) -> set[int]:
        found = psutil.Process().net_connections("tcp")
        return {
            each.laddr.port
            for each in found
            if each.status == psutil.CONN_ESTABLISHED and each.raddr.port == server.port
        }


@contextmanager
def probers(server: Sidecar) -> Iterator[list[Prober]]:
    """Yield a prober for each worker process."""
    with ExitStack() as stack:
        found: dict[int, Prober] = {}
        for _ in range(MOST_CONNECTIONS):
            prober = Prober(server)
            stack.callback(prober.stop)
            found.setdefault(prober.pid, prober)
            if len(found) == len(server.answering()):
                break
        else:
            raise RuntimeError(f"no connection to some process among {MOST_CONNECTIONS}")
        for prober in found.values():
            prober.start()
        yield list(found.values())


def spread(apps: int, folder: Path, *, changes: int, busy: bool) -> list[str]:
    """Change the document repeatedly; return the table row with the time between processes."""
    path = folder / "routing.yaml"
    case = Case(3, cold=False, apps=apps)
    path.write_text(case.document())
    requests = write_frames(folder / "requests", case.requests())
    seen, stale = [], []
    with Sidecar.of(2, path) as server, probers(server) as asking, ExitStack() as stack:
        if busy:
            load = subprocess.Popen(generator(server, requests, 600), stdout=subprocess.DEVNULL)
            stack.callback(load.wait)
            stack.callback(load.terminate)
        for number in range(changes):
            before = asking[0].revision
            text = f"meta: {{number: {number}}}\n{case.document()}".encode()
            beside = path.with_name(".new")
            beside.write_bytes(text)
            beside.rename(path)
            revision = revision_of(text)
            deadline = time.monotonic() + 60
            while not all(prober.revision == revision for prober in asking):
                if time.monotonic() > deadline:
                    raise RuntimeError("a change did not reach all processes in 60 s")
                time.sleep(0.005)
            time.sleep(0.2)
            came = [prober.came[revision] for prober in asking]
            seen.append((max(came) - min(came)) * 1e3)
            stale.append(max(0.0, max(prober.asked[before] for prober in asking) - min(came)) * 1e3)
        memory = [process.memory_info().rss / 2**20 for process in server.processes()]
    name = f"{apps:,} application{'s' * (apps > 1)}, {'both cores busy' if busy else 'idle'}"
    figures = [median(seen), max(seen), median(stale), max(stale)]
    return [name, *(f"{figure:.1f}" for figure in figures), f"{memory[0]:.0f}", f"{max(memory[1:]):.0f}"]


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--print", action="store_true", help="print only; do not write RESULTS.md")
    arguments = parser.parse_args()
    gains, spreads = [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            gains.append(gain(case, Path(folder), turns=arguments.turns, seconds=arguments.seconds))
            print(" | ".join(gains[-1]), flush=True)
        for apps, busy in ((1, False), (1, True), (10_000, False), (10_000, True)):
            spreads.append(spread(apps, Path(folder), changes=arguments.changes, busy=busy))
            print(" | ".join(spreads[-1]), flush=True)
    if arguments.print:
        return
    one = table(
        (
            *("case", "calls/s, 1", "calls/s, 2", "ratio", "CPU µs/call, 1", "CPU µs/call, 2", "ratio"),
            *("generator CPU µs/call", "maximum ratio of rates"),
        ),
        gains,
    )
    other = table(
        (
            *("document", "first answers apart, ms", "max", "an older answer after a newer one, ms", "max"),
            *("RSS of the parent, MiB", "RSS of a worker, MiB"),
        ),
        spreads,
    )
    words = (
        "One process and two, called in turns by a generator that shares both cores with them; ratios are medians over "
        "the turns. Maximum: the rate if both cores were never idle. Below, the time between two processes at a "
        "document change, as seen by two clients."
    )
    results.write(TITLE, "python -m bench.workers", f"{words}\n\n{one}\n\n{other}")


if __name__ == "__main__":
    main()
