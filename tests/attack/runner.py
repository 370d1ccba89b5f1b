"""Runs attacks, each in a process of its own with a time limit, and judges the results."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.attack.attack import Attack, Stage, all_attacks, give_way
from tests.attack.caller import DEADLINE_S, RATE, IndependentCaller, Measured
from tests.attack.front import front
from tests.attack.memory_group import MemoryGroup, make_group
from tests.attack.sidecar import COMMAND, AttackedSidecar, DidNotStart

_MIB = 1024**2
_WARM_UP_S = 0.3
# How long the effects of an attack count as its own, and how long the caller is measured after that, in calm again.
_AFTERMATH_S = 0.3
_CALM_S = 0.5
# Allowance for start, end and outstanding deadlines.
_AROUND_S = 45.0
_SESSION_NICE = -20
# Up to this multiple of the limit an attack is tried again: noise rarely repeats.
_NOISE = 5
LATENCY_MS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Seconds per attack, memory limit in bytes, kind of memory group, limit of p99.9 in ms."""

    seconds: float = 2.5
    memory: int = 64 * _MIB
    group: str = "auto"
    latency_ms: float = LATENCY_MS
    command: Path = COMMAND
    keep: bool = False


@dataclass(slots=True)
class Result:
    """The result of one attack; memory in bytes. `findings` are violations that the attack itself reports."""

    name: str
    group: str = ""
    baseline: Measured = field(default_factory=Measured)
    measured: Measured = field(default_factory=Measured)
    after: Measured = field(default_factory=Measured)
    memory: int = 0
    calls: bool = True
    peak_used: int = 0
    peak_rss: int = 0
    descriptors: int = 0
    threads: int = 0
    lived: bool = False
    ended: str = ""
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    log: str = ""

    @property
    def failed(self) -> int:
        """Failed calls during the attack and after it."""
        return self.measured.failed + self.after.failed

    @property
    def wrong(self) -> int:
        """Wrong answers during the attack and after it."""
        return self.measured.wrong + self.after.wrong

    @property
    def calm_ms(self) -> float:
        """The p99.9 without the attack: right before it or right after it, whichever was worse."""
        return max(self.baseline.p999_ms, self.after.p999_ms)

    def late(self, latency_ms: float) -> bool:
        """Return whether calls took longer than the limit, and the machine alone does not explain it.

        A busy machine delays calls by itself: what counts is what the attack adds to the calm around it.
        """
        return self.calls and self.measured.p999_ms > latency_ms and self.measured.p999_ms - self.calm_ms > latency_ms

    def problems(self, latency_ms: float) -> list[str]:
        """Return all violations."""
        found = []
        if not self.lived:
            found.append(f"the sidecar did not live: {self.ended or 'it was not there at the end'}")
        if self.failed or self.wrong:
            found.append(f"{self.failed} calls failed, {self.wrong} answers wrong")
        unhealthy = self.measured.unhealthy + self.after.unhealthy
        if unhealthy:
            found.append(f"{unhealthy} health checks over HTTP failed")
        if self.late(latency_ms):
            found.append(
                f"p99.9 of the caller {self.measured.p999_ms:.0f} ms, at most {latency_ms:.0f} ms "
                f"({self.calm_ms:.0f} ms without the attack)"
            )
        if self.calls and not self.measured.calls:
            found.append("no call was measured")
        if self.failed or self.wrong or unhealthy:
            found += [*self.measured.examples, *self.after.examples][:3]
        return [*found, *self.findings]

    def only_slow(self, latency_ms: float) -> bool:
        """Return whether the only violation is a latency that noise of this machine can explain."""
        slow = self.late(latency_ms) and self.measured.p999_ms < _NOISE * latency_ms
        return slow and len(self.problems(latency_ms)) == 1

    def verdict(self, latency_ms: float) -> str:
        """Return `ok`, `FAIL`, or `noise` if calls were slow, but not by the attack."""
        if self.problems(latency_ms):
            return "FAIL"
        return "noise" if self.calls and self.measured.p999_ms > latency_ms else "ok"


class Running:
    """One attack in a process of its own. `end` kills all processes that it left."""

    def __init__(self, attack: Attack, setting: Setting) -> None:
        self.attack = attack
        self._setting = setting
        self._began = time.monotonic()
        self._within = 2 * max(setting.seconds, attack.least) + _AROUND_S + attack.around
        self._memory = max(setting.memory, attack.memory)
        self._group = make_group(self._memory, setting.group)
        self._folder = Path(tempfile.mkdtemp(prefix=f"a-{attack.name[:12]}-"))
        # Forked from a process without threads: this one may hold those of clients, and their locks.
        context = multiprocessing.get_context("forkserver")
        self._ours, theirs = context.Pipe(duplex=False)
        arguments = (attack.name, setting, self._group, self._folder, theirs)
        self._child = context.Process(target=_run, args=arguments, name=attack.name)
        self._child.start()
        theirs.close()

    def over(self, wait: float) -> bool:
        """Wait up to `wait` seconds; return whether the attack or its time limit is over."""
        return self._ours.poll(wait) or time.monotonic() > self._began + self._within

    def end(self) -> Result:
        """Return the result; kills the attack if it is still running."""
        result = Result(self.attack.name, self._group.kind, calls=self.attack.calls, memory=self._memory)
        if self._ours.poll(0):
            with suppress(EOFError):
                result = self._ours.recv()
        else:
            result.findings.append(f"the attack did not end within {self._within:.0f} s")
        self._child.join(2)
        if self._child.pid is not None:
            # The attack is the leader of its own process group.
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.join(5)
        self._ours.close()
        with suppress(OSError):
            self._group.remove()
        if self._setting.keep:
            result.notes.append(f"kept: {self._folder}")
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        result.seconds = time.monotonic() - self._began
        return result


def carry_out(attack: Attack, setting: Setting) -> Result:
    """Run one attack. Whatever the sidecar does becomes a result, within a time limit."""
    running = Running(attack, setting)
    while not running.over(1.0):
        continue
    return running.end()


def _run(name: str, setting: Setting, group: MemoryGroup, folder: Path, answer: Connection[Any, Any]) -> None:
    os.setsid()
    attack = next(attack for attack in all_attacks() if attack.name == name)
    _go_before_others()
    # Of this process alone: what it starts has handlers of its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    result = Result(attack.name, group.kind, calls=attack.calls, memory=max(setting.memory, attack.memory))
    try:
        with ExitStack() as stack:
            _attacked(attack, setting, group, folder, result, stack)
    except DidNotStart as error:
        result.findings.append(str(error))
    except Exception:  # noqa: BLE001 - told in the report
        result.findings.append(f"the attack itself failed:\n{traceback.format_exc()}")
    answer.send(result)
    answer.close()
    # Threads of gRPC in the parent's memory do not survive the interpreter's end in a fork.
    os._exit(0)


def _go_before_others() -> None:
    """Raise the priority of this session, if permitted: noise of other sessions must not be measured.

    With autogroup scheduling, nice values only order processes within a session. Sidecar and caller inherit real-time
    scheduling: on two cores with a load of 15, sleeps of 2 ms end up to 1 ms late with it, and up to 100 ms without.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_SESSION_NICE), encoding="ascii")


def _attacked(
    attack: Attack, setting: Setting, group: MemoryGroup, folder: Path, result: Result, stack: ExitStack
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    other = cores[-1] if len(cores) > 1 else None
    sidecar = AttackedSidecar(
        folder,
        group,
        memory=result.memory,
        flags=attack.flags,
        setup=attack.setup,
        command=setting.command,
        front=attack.front,
    )
    caller = IndependentCaller(sidecar.target, f"http://127.0.0.1:{sidecar.http}/healthz", folder, core=other)
    stage = Stage(attack, sidecar, caller, max(setting.seconds, attack.least), other, stack)
    stage.put(attack.document())
    stack.callback(sidecar.kill)
    try:
        if not attack.starts:
            stage.begin()
            attack.run(stage)
            return
        sidecar.start()
        if attack.front:
            stack.enter_context(front(folder, port=sidecar.grpc, sidecar=sidecar.listens))
        if attack.calls:
            _measured(stage, result, other)
        else:
            stage.begin()
            attack.run(stage)
    finally:
        result.lived = not sidecar.died
        result.ended = sidecar.end() if sidecar.died else ""
        result.findings += stage.findings
        result.notes += stage.notes
        result.peak_used, result.peak_rss = sidecar.peak_used, sidecar.peak.peak_rss
        result.descriptors, result.threads = sidecar.peak.descriptors, sidecar.peak.threads
        result.log = sidecar.log_text()[-4000:]


def _measured(stage: Stage, result: Result, core: int | None) -> None:
    """Measure before, during and after the attack."""
    caller = stage.caller
    caller.start()
    stage.stack.callback(caller.stop)
    time.sleep(_WARM_UP_S)
    first = time.monotonic()
    stage.calm_change_s = stage.change(_renamed(stage.sidecar.document.read_text(encoding="utf-8")), within=20)
    time.sleep(max(0.0, stage.seconds - (time.monotonic() - first)))
    if not stage.sidecar.lived:
        raise DidNotStart("the sidecar died of the document alone, before the attack began")
    begin = time.monotonic()
    if core is not None:
        os.sched_setaffinity(0, {core})
    give_way()
    stage.calm_worst_ms = caller.measured(first, begin).worst_ms
    stage.begin()
    try:
        stage.attack.run(stage)
    except OSError as error:
        # When the sidecar dies, its connections break slightly before its exit can be seen.
        time.sleep(0.5)
        if stage.sidecar.lived:
            raise
        stage.note(f"the attack ended with the sidecar: {error}")
    stage.wait()
    if stage.sidecar.lived:
        time.sleep(_AFTERMATH_S)
    end = time.monotonic()
    if stage.sidecar.lived:
        time.sleep(_CALM_S)
    until = time.monotonic()
    caller.stop()
    result.baseline = caller.measured(first, begin)
    result.measured = caller.measured(begin, end)
    result.after = caller.measured(end, until)
    if not stage.sidecar.end() and result.measured.calls < stage.seconds * RATE / 4:
        result.findings.append(f"only {result.measured.calls} calls ended within their deadline of {DEADLINE_S:g} s")


def _renamed(text: str) -> str:
    """Return the same document with another revision."""
    return text + "\n# the same again\n" if len(text) < 1024 * 1024 - 32 else text[:-1] + " "
