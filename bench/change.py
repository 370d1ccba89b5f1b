"""Measures the effect of a document change on calls and on memory.

    python -m bench.change [--changes 6] [--more 1000] [--more-big 40]

While calls continue, a new document is renamed over the old one repeatedly. For each change, the calls of the second
before it are compared with those begun within a second of the rename, or until the new document is in force if that
takes longer. Many more changes under full load then show whether memory returns to its level.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc

from bench import results
from bench.cases import Case, write_frames
from bench.loader import load_generator
from bench.results import CLIENT_CORE, SERVER_CORE, table
from bench.servers import Server
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.document import revision_of

TITLE = "While the document changes"
PERIOD_S = 4.0
FULL = ("16 concurrent, no pause", ())
SOME = ("one at a time, 500 per second", ("-concurrency", "1", "-every", "2ms"))
# Changes until memory has reached its level.
WARM = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A scenario: number of applications, notation of the document, and load."""

    apps: int
    form: str
    load: tuple[str, Sequence[str]]

    @property
    def name(self) -> str:
        """The name in the results."""
        return f"{self.apps:,} application{'s' * (self.apps > 1)}, {self.form}"

    def document(self, number: int) -> bytes:
        """Return a document that routes each application differently from the previous number."""
        apps = {f"app-{n:05d}": {"active": f"dc{(n + number) % 3 + 1}", "backups": ["dc2"]} for n in range(self.apps)}
        if self.form == "JSON":
            return json.dumps({"meta": {"number": number}, "apps": apps}).encode()
        lines = [f"  {app}: {{active: {route['active']}, backups: [dc2]}}" for app, route in apps.items()]
        return "\n".join([f"meta: {{number: {number}}}", "apps:", *lines]).encode()


SCENES = [
    Scene(1, "YAML", FULL),
    Scene(10_000, "YAML", FULL),
    Scene(10_000, "JSON", FULL),
    Scene(10_000, "YAML", SOME),
    Scene(10_000, "JSON", SOME),
]


@dataclass(frozen=True, slots=True)
class Change:
    """One change: seconds until it was in force, and p99 of the calls before and around it in milliseconds."""

    took_s: float
    before_ms: float
    around_ms: float


class Operator:
    """Replaces a sidecar's document and waits until it is in force."""

    def __init__(self, path: Path, document: Callable[[int], bytes], channel: grpc.Channel) -> None:
        self._path = path
        self._document = document
        self._number = 0
        self._ask = channel.unary_unary(
            "/dcsidecar.v1.RoutingService/GetStatus",
            request_serializer=pb.GetStatusRequest.SerializeToString,
            response_deserializer=pb.SidecarStatus.FromString,
        )

    def change(self) -> tuple[int, int]:
        """Put the next document in place; return the times of the rename and of the first answer by it, Unix ns."""
        self._number += 1
        text = self._document(self._number)
        beside = self._path.with_name(".new")
        beside.write_bytes(text)
        renamed = time.time_ns()
        beside.rename(self._path)
        wanted = revision_of(text)
        while self._ask(pb.GetStatusRequest()).revision != wanted:
            if time.time_ns() - renamed > 30e9:
                raise RuntimeError("the new document is not in force after 30 s")
            time.sleep(0.01)
        return renamed, time.time_ns()


class Load:
    """Calls a server from another process for a number of seconds during the `with` block; no call may fail."""

    def __init__(self, server: Server, folder: Path, seconds: float, flags: Sequence[str]) -> None:
        self._record = folder / "record"
        requests = write_frames(folder / "requests", Case(3, cold=False).requests())
        self._process = subprocess.Popen(
            [
                *("taskset", "-c", str(CLIENT_CORE), str(load_generator()), "-target", f"127.0.0.1:{server.port}"),
                *("-requests", str(requests), "-seconds", str(seconds), "-record", str(self._record), *flags),
            ],
            stdout=subprocess.PIPE,
        )

    def calls(self) -> array[int]:
        """Wait for the end; return start and duration of each call alternately, in ns."""
        report = json.loads(self._process.communicate()[0])
        if report["failed"] or not report["calls"]:
            raise RuntimeError(f"calls failed: {report}")
        made = array("q")
        made.frombytes(self._record.read_bytes())
        return made


def p99_ms(calls: array[int], since: int, until: int) -> float:
    """Return the 99th percentile of the calls that began in this interval."""
    took = sorted(took for began, took in zip(calls[::2], calls[1::2], strict=True) if since <= began < until)
    if len(took) < 100:
        raise RuntimeError(f"{len(took)} calls in {(until - since) / 1e9:.1f} s are too few")
    return took[len(took) * 99 // 100] / 1e6


def measure(scene: Scene, folder: Path, changes: int) -> list[Change]:
    """Change the document a number of times at a fixed pace, under load."""
    path = folder / "routing.yaml"
    path.write_bytes(scene.document(0))
    times = []
    with (
        Server.sidecar(path, core=SERVER_CORE) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        operator = Operator(path, scene.document, channel)
        operator.change()
        load = Load(server, folder, (changes + 1) * PERIOD_S, scene.load[1])
        began = time.monotonic()
        for number in range(changes):
            time.sleep(max(0.0, began + (number + 0.5) * PERIOD_S - time.monotonic()))
            times.append(operator.change())
        calls = load.calls()
    second = 10**9
    return [
        Change(
            (in_force - renamed) / second,
            p99_ms(calls, renamed - second, renamed),
            p99_ms(calls, renamed, max(in_force, renamed + second)),
        )
        for renamed, in_force in times
    ]


def remember(scene: Scene, folder: Path, changes: int) -> tuple[float, float]:
    """Return the resident memory in MiB before and after a number of changes under full load."""
    path = folder / "routing.yaml"
    path.write_bytes(scene.document(0))
    with (
        Server.sidecar(path, core=SERVER_CORE) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        operator = Operator(path, scene.document, channel)
        memory = []
        for times in (WARM, changes):
            done = 0
            while done < times:
                load = Load(server, folder, 10, FULL[1])
                until = time.monotonic() + 9
                while done < times and time.monotonic() < until:
                    operator.change()
                    done += 1
                load.calls()
            time.sleep(1)
            memory.append(server.rss_mib())
    return memory[0], memory[1]


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--changes", type=int, default=6, help="individually measured changes of each document")
    parser.add_argument("--more", type=int, default=1000, help="changes of a small document for the memory test")
    parser.add_argument("--more-big", type=int, default=40, help="the same for a document of 10,000 applications")
    arguments = parser.parse_args()
    rows, memory = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scene in SCENES:
            made = measure(scene, folder, arguments.changes)
            ratios = [change.around_ms / change.before_ms for change in made]
            rows.append(
                [
                    scene.name,
                    scene.load[0],
                    f"{median(change.took_s for change in made) * 1000:,.0f} ms",
                    f"{median(change.before_ms for change in made):.1f} ms",
                    f"{median(change.around_ms for change in made):.1f} ms",
                    f"{median(ratios):.2f}",
                    f"{max(ratios):.2f}",
                ]
            )
            print(" | ".join(rows[-1]), flush=True)
        for scene, changes in ((SCENES[0], arguments.more), (SCENES[1], arguments.more_big)):
            before, after = remember(scene, folder, changes)
            memory.append(
                [scene.name, f"{changes:,}", f"{before:.1f} MiB", f"{after:.1f} MiB", f"{after / before - 1:+.1%}"]
            )
            print(" | ".join(memory[-1]), flush=True)
    heads = "document", "calls", "in force after", "p99 before", "p99 around it", "ratio", "worst ratio"
    about = (
        f"Medians and maximum of {arguments.changes} changes each; no call failed. Before: the second before the "
        "rename. Around: a second from the rename, or until the new document is in force if that takes longer."
    )
    lasting = (
        f"Memory before and after many more changes under full load, {WARM} changes after the start; no call failed."
    )
    kept = table(("document", "changes", "resident before", "resident after", "difference"), memory)
    results.write(TITLE, "python -m bench.change", f"{about}\n\n{table(heads, rows)}\n\n{lasting}\n\n{kept}")


if __name__ == "__main__":
    main()
