"""The independent caller: a separate process that calls at a steady rate; its answers are checked here."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.attack.texts import questions, write_requests
from tests.deploy.tools import tool

_SOURCE = Path(__file__).with_name("caller")
RATE = 200.0
DEADLINE_S = 5.0
# Higher priority than the attackers, which share its core: their load must not show as the sidecar's latency.
_BEFORE_OTHERS = -15


@dataclass(frozen=True, slots=True)
class Entry:
    """One call: its kind (call, fresh, health), when it began (monotonic, s), how long it took, how it ended."""

    kind: str
    began: float
    took: float
    late: float
    code: str
    said: str
    wrong: str
    revision: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Latencies in ms and counts of failures over an interval."""

    calls: int = 0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    worst_ms: float = 0.0
    late_ms: float = 0.0
    failed: int = 0
    wrong: int = 0
    unhealthy: int = 0
    examples: tuple[str, ...] = ()


def build() -> Path:
    """Return the path of the caller's program, built with Go if necessary."""
    return tool(_SOURCE)


class IndependentCaller:
    """Calls from `start` to `stop`. `revisions` holds the revisions that may appear in answers."""

    def __init__(self, target: str, health: str, folder: Path, *, core: int | None, rate: float = RATE) -> None:
        self.revisions: set[str] = set()
        self._asked = questions()
        self._entries: list[Entry] = []
        self._first_seen: dict[str, float] = {}
        self._new = threading.Condition()
        requests = write_requests(folder / "caller.requests", (one.request for one in self._asked))
        words = [str(build()), "-target", target, "-requests", str(requests), "-rate", str(rate)]
        words += ["-within", f"{DEADLINE_S}s", "-health", health]
        self._words = words if core is None else ["taskset", "-c", str(core), *words]
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread()

    def start(self) -> None:
        """Begin to call."""
        self._process = subprocess.Popen(
            self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        # Without the permission the caller shares its core evenly; the baseline shows the effect.
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _BEFORE_OTHERS)
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), name="caller", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Stop calling and wait for the calls under way."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(DEADLINE_S + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)

    def seen(self, revision: str, within: float, lives: Callable[[], bool]) -> float | None:
        """Wait for the first answer from a revision; return when it came (monotonic, s), None if it did not."""
        deadline = time.monotonic() + within
        with self._new:
            while revision not in self._first_seen:
                left = deadline - time.monotonic()
                if left <= 0 or not lives():
                    return None
                self._new.wait(min(left, 0.2))
            return self._first_seen[revision]

    def measured(self, begin: float, end: float) -> Measured:
        """Return the figures of the calls that began in this interval."""
        entries = [entry for entry in tuple(self._entries) if begin <= entry.began < end]
        calls = [entry for entry in entries if entry.kind == "call"]
        times = sorted(entry.took for entry in calls)
        failed = [entry for entry in entries if entry.kind != "health" and entry.code != "OK"]
        wrong = [entry for entry in entries if entry.wrong]
        ill = [entry for entry in entries if entry.kind == "health" and entry.code != "200"]
        return Measured(
            calls=len(calls),
            p99_ms=_quantile(times, 0.99),
            p999_ms=_quantile(times, 0.999),
            worst_ms=_quantile(times, 1.0),
            late_ms=1000 * max((entry.late for entry in entries), default=0.0),
            failed=len(failed),
            wrong=len(wrong),
            unhealthy=len(ill),
            examples=tuple(_examples(failed, wrong, ill)),
        )

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            found = json.loads(line)
            wrong, revision = "", ""
            if "answer" in found:
                answer = pb.FilterWorkersResponse.FromString(base64.b64decode(found["answer"]))
                wrong = self._asked[found["request"]].wrong(answer, self.revisions)
                revision = answer.revision
            began, took = found["began_ns"] / 1e9, found["took_ns"] / 1e9
            entry = Entry(
                found["kind"],
                began,
                took,
                found["late_ns"] / 1e9,
                found["code"],
                found.get("said", ""),
                wrong,
                revision,
            )
            with self._new:
                self._entries.append(entry)
                if revision not in self._first_seen:
                    self._first_seen[revision] = began + took
                    self._new.notify_all()


def _quantile(ordered: Sequence[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _examples(failed: Iterable[Entry], wrong: Iterable[Entry], ill: Iterable[Entry]) -> Iterable[str]:
    for entry in list(failed)[:1]:
        yield f"a {entry.kind} call failed after {entry.took:.2f} s: {entry.said[:200] or entry.code}"
    for entry in list(wrong)[:1]:
        yield f"wrong: {entry.wrong}"
    for entry in list(ill)[:1]:
        yield f"/healthz after {entry.took:.2f} s: {entry.code} {entry.said[:160]}"
