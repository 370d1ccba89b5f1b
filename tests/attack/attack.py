"""The definition of an attack, the list of all, and the stage that one runs on."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.loader import load_generator
from tests.attack import cases, texts
from tests.attack.caller import IndependentCaller
from tests.attack.sidecar import AttackedSidecar

# How much later than without an attack a changed document may decide.
LATE_S = 1.0
# Attackers run at a lower priority than sidecar and caller: really they would be on other machines.
_AFTER_OTHERS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack.

    run: performs it on a stage within `stage.seconds` and reports violations to the stage.
    item: the number of its requirement (README.md).
    product: the required behaviour of the product, one sentence.
    document: returns the document in force at the beginning.
    calls: measure the independent caller; otherwise only the expectations of `run` count.
    starts: start the sidecar before `run`; otherwise `run` starts it.
    front: put Envoy in front of the sidecar: attack and caller reach only that.
    memory: bytes that the document needs; the limit is raised to them where it is lower.
    least: minimum seconds for the attack to have an effect.
    around: further seconds that it may take.
    open: what does not hold yet; the short form then expects a failure. Empty if the attack is withstood.
    short: part of the short form.
    """

    name: str
    run: Callable[[Stage], None]
    item: str
    product: str
    document: Callable[[], str] = texts.document
    flags: Sequence[str] = ()
    setup: Sequence[str] = ()
    calls: bool = True
    starts: bool = True
    front: bool = False
    memory: int = 0
    least: float = 0.0
    around: float = 0.0
    open: str = ""
    short: bool = False


@dataclass
class Stage:
    """The sidecar under attack, the independent caller, and the findings. `seconds` is the time of the attack alone."""

    attack: Attack
    sidecar: AttackedSidecar
    caller: IndependentCaller
    seconds: float
    core: int | None
    stack: ExitStack
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Seconds until a changed document decided without an attack; None if not measured.
    calm_change_s: float | None = None
    # The longest call without the attack.
    calm_worst_ms: float = 0.0
    _deadline: float = 0.0

    @property
    def folder(self) -> Path:
        """Scratch folder; the sidecar runs in it."""
        return self.sidecar.folder

    def begin(self) -> None:
        """Start the clock of the attack."""
        self._deadline = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._deadline - time.monotonic())

    def rounds(self, every: float = 0.0) -> Iterator[int]:
        """Yield numbers, `every` seconds apart, until the time is over or the sidecar has ended."""
        number = 0
        while self.left > 0 and self.sidecar.lived:
            began = time.monotonic()
            yield number
            number += 1
            time.sleep(min(self.left, max(0.0, every - (time.monotonic() - began))))

    def wait(self) -> None:
        """Wait until the time is over or the sidecar has ended."""
        while self.left > 0 and self.sidecar.lived:
            time.sleep(0.02)

    def find(self, what: str) -> None:
        """Report a violation."""
        self.findings.append(what)

    def expect(self, condition: object, otherwise: str) -> None:
        """Report `otherwise` unless the condition holds."""
        if not condition:
            self.find(otherwise)

    def note(self, what: str) -> None:
        """Add a remark to the report."""
        self.notes.append(what)

    def put(self, text: str) -> str:
        """Replace the document; return its revision."""
        revision = texts.revision(text)
        self.caller.revisions.add(revision)
        beside = self.sidecar.document.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.rename(self.sidecar.document)
        return revision

    def change(self, text: str, within: float = 10.0) -> float | None:
        """Replace the document; return the seconds until it decided a call, None if it did not within `within`."""
        began = time.monotonic()
        seen = self.caller.seen(self.put(text), within, lambda: self.sidecar.lived)
        return None if seen is None else seen - began

    def change_in_time(self, text: str) -> None:
        """Replace the document and report a violation if it decides more than LATE_S later than without an attack."""
        calm = self.calm_change_s or 0.0
        took = self.change(text, within=calm + 8)
        if took is None:
            self.find(f"a new document did not decide within {calm + 8:.1f} s (without the attack {calm:.1f} s)")
        elif took > calm + LATE_S:
            self.find(f"a new document decided after {took:.1f} s (without the attack {calm:.1f} s)")
        else:
            self.note(f"a new document decided after {took:.1f} s (without the attack {calm:.1f} s)")

    def flood(
        self, requests: Path, *, rate: float, concurrency: int = 32, connections: int = 2, seconds: float | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the load generator: FilterWorkers with the requests of a file, `rate` calls a second."""
        words = [str(load_generator()), "-target", self.sidecar.target, "-requests", str(requests)]
        words += ["-seconds", str(self.left if seconds is None else seconds), "-concurrency", str(concurrency)]
        words += ["-connections", str(connections), "-every", f"{concurrency / rate:.6f}s"]
        return self.start(words)

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start an attacker's process; it is killed at the end of the attack."""
        pinned = [] if self.core is None else ["taskset", "-c", str(self.core)]
        process = subprocess.Popen(
            ["nice", "-n", str(_AFTER_OTHERS), *pinned, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.stack.callback(_end, process)
        return process

    def flooded(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the load generator and add its figures to the report."""
        try:
            output, _ = process.communicate(timeout=self.left + 15)
        except subprocess.TimeoutExpired:
            process.kill()
            self.note("the flood did not end by itself")
            return
        if output:
            told = json.loads(output)
            rate = told["calls"] / max(0.001, told["seconds"])
            self.note(f"flood: {rate:.0f} calls/s, {told['failed']} refused or failed")


def give_way() -> None:
    """Lower the priority of this thread, and of what it starts, below sidecar and caller."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(_AFTER_OTHERS)


def all_attacks() -> list[Attack]:
    """Return every attack, in the order of modules and of the list in each."""
    found: list[Attack] = []
    for module in sorted(pkgutil.iter_modules(cases.__path__), key=lambda each: each.name):
        found += importlib.import_module(f"{cases.__name__}.{module.name}").ATTACKS
    names = [attack.name for attack in found]
    assert len(names) == len(set(names)), "two attacks have one name"
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()
