"""A fault campaign against a real sidecar: `python -m tests.chaos.campaign --seed 7 --seconds 240 --source zookeeper`.

Random faults from a seed, a scheduler that never stops asking, and a check of every answer, by another implementation
of the rules, against the document that the answer's revision names.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import grpc

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.chaos.sidecar_under_test import OFFSET_FILE, write_offset
from tests.chaos.texts import Rules, bad, good, requests
from tests.harness import Client, SidecarProcess, code_of
from tests.integration.failures.centers import Center, FakeOne, FileOne, NacosOne, ZooKeeperOne
from tests.servers.nacos.server import NacosServer
from tests.waiting import eventually

# A jump of the clock or the end of a drill is seen within a second by an idle machine, and this one is busy.
_SLACK_S = 2.5
_SETTLES_WITHIN_S = 45.0


@dataclass
class Result:
    """What came of a campaign; `wrong` and `failed` tell the first few, and must be empty."""

    seed: int
    source: str
    faults: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        lines = [
            f"seed {self.seed}, source {self.source}",
            f"faults injected     {self.faults.total()} ({faults})",
            f"calls made          {self.calls}",
            f"wrong answers       {len(self.wrong)}",
            f"failed calls        {len(self.failed)}",
            f"longest gap         {self.longest_gap:.2f} s without an answer while the sidecar was meant to run",
        ]
        return "\n".join([*lines, *self.wrong[:5], *self.failed[:5]])


@dataclass(frozen=True, slots=True)
class _Answered:
    request: pb.FilterWorkersRequest
    answer: pb.FilterWorkersResponse
    began: float
    ended: float
    life: int


class _Scheduler:
    """Asks all the time, but while the campaign itself has the sidecar down."""

    def __init__(self, address: str, asks: list[pb.FilterWorkersRequest], result: Result) -> None:
        self._client = Client(address, within=10.0)
        self._asks = asks
        self._result = result
        self._stopping = threading.Event()
        self._may_call = threading.Event()
        self._idle = threading.Event()
        self.answered: list[_Answered] = []
        self.life = 0
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        self.life += 1
        self._idle.clear()
        self._may_call.set()

    def pause(self) -> None:
        """Return when no call is under way."""
        self._may_call.clear()
        self._idle.wait(15)

    def stop(self) -> None:
        self._stopping.set()
        self._may_call.set()
        self._thread.join()
        self._client.channel.close()

    def _run(self) -> None:
        last = 0.0
        number = 0
        while not self._stopping.wait(0.005):
            if not self._may_call.is_set():
                self._idle.set()
                last = 0.0
                continue
            request = self._asks[number % len(self._asks)]
            number += 1
            began = time.time()
            try:
                answer = self._client.filter(request)
            except grpc.RpcError as error:
                self._result.failed.append(f"{code_of(error).name} after {time.time() - began:.1f} s: {error}")
                continue
            ended = time.time()
            self.answered.append(_Answered(request, answer, began, ended, self.life))
            self._result.longest_gap = max(self._result.longest_gap, ended - last if last else 0.0)
            last = ended


class Campaign:
    """One sidecar of one center, and everything that may go wrong with them."""

    def __init__(self, stack: ExitStack, folder: Path, *, seed: int, source: str, tell: Callable[[str], None]) -> None:
        self._draw = random.Random(seed)
        self._tell = tell
        self._folder = folder
        self._rules = Rules()
        self._number = 0
        self._offsets: list[tuple[float, float]] = [(0.0, 0.0)]
        self._clock = folder / "clock"
        self._override = folder / "override.yaml"
        self._state = folder / "state"
        self.result = Result(seed, source)
        write_offset(self._clock, 0)
        self._center = _center(source, stack, folder)
        self._newest = ""
        self._put_good()
        self._sidecar = stack.enter_context(
            SidecarProcess(
                self._center.url,
                *("--state-dir", str(self._state), "--override", str(self._override)),
                folder=folder,
                module="tests.chaos.sidecar_under_test",
                env={OFFSET_FILE: str(self._clock)},
                within=60,
            )
        )
        self._scheduler = _Scheduler(self._sidecar.address, requests(self._draw, 50), self.result)
        stack.callback(self._scheduler.stop)

    def run(self, seconds: float) -> Result:
        """Injure and mend for so long, then check that all is well again, and every answer."""
        self._scheduler.begin()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._one_fault()
        self._put_good()
        self._override.unlink(missing_ok=True)
        self._settles()
        self._scheduler.stop()
        self._check()
        return self.result

    def _one_fault(self) -> None:
        faults: dict[str, Callable[[], object]] = {
            "center killed": lambda: self._while_away(self._center.kill, self._center.restart),
            "center frozen": lambda: self._while_away(self._center.freeze, self._center.thaw),
            "partition": lambda: self._while_away(self._center.cut_off, self._center.rejoin),
            "key deleted": self._delete,
            "bad document": lambda: self._put(bad(self._draw, self._newest)),
            "good document": self._put_good,
            "burst of documents": self._put_many,
            "sidecar killed": lambda: self._restart(self._sidecar.kill),
            "sidecar terminated": lambda: self._restart(self._sidecar.end),
            "sidecar frozen": self._freeze_sidecar,
            "sidecar killed while the center is away": self._restart_without_center,
            "clock stepped": self._step_clock,
            "snapshot blocked": self._block_snapshot,
            "snapshot torn": self._tear_snapshot,
            "override": self._put_override,
        }
        name = self._draw.choice(list(faults))
        self._tell(name)
        self.result.faults[name] += 1
        faults[name]()
        time.sleep(self._draw.uniform(0, 1))

    def _while_away(self, breaks: Callable[[], None], mends: Callable[[], None]) -> None:
        breaks()
        time.sleep(self._draw.uniform(0, 4))
        mends()

    def _delete(self) -> None:
        self._center.remove()
        time.sleep(self._draw.uniform(0, 2))
        self._put_good()

    def _put(self, text: str) -> None:
        self._rules.put(text)
        self._center.put(text)

    def _put_good(self) -> None:
        self._number += 1
        self._newest = good(self._draw, self._number, time.time() + self._offsets[-1][1])
        self._put(self._newest)

    def _put_many(self) -> None:
        for _ in range(self._draw.randrange(2, 10)):
            self._put_good()

    def _put_override(self) -> None:
        self._number += 1
        text = good(self._draw, self._number, time.time() + self._offsets[-1][1])
        self._rules.put(text)
        self._override.write_text(text)
        time.sleep(self._draw.uniform(0, 3))
        self._override.unlink()

    def _restart(self, end: Callable[[], object]) -> None:
        self._scheduler.pause()
        end()
        self._sidecar.start()
        self._scheduler.begin()

    def _restart_without_center(self) -> None:
        if not (self._state / "snapshot").exists():
            return
        self._scheduler.pause()
        self._center.cut_off()
        self._sidecar.kill()
        self._sidecar.start()
        self._scheduler.begin()
        time.sleep(self._draw.uniform(0, 2))
        self._center.rejoin()

    def _freeze_sidecar(self) -> None:
        self._sidecar.freeze()
        time.sleep(self._draw.uniform(0, 2))
        self._sidecar.thaw()

    def _step_clock(self) -> None:
        offset = self._draw.uniform(-30, 30)
        self._offsets.append((time.time(), offset))
        write_offset(self._clock, round(offset * 1e9))

    def _block_snapshot(self) -> None:
        # In the way of the file that becomes the snapshot.
        beside = self._state / ".snapshot.new"
        beside.unlink(missing_ok=True)
        beside.mkdir()
        self._put_good()
        time.sleep(self._draw.uniform(0.5, 2))
        beside.rmdir()
        self._put_good()

    def _tear_snapshot(self) -> None:
        snapshot = self._state / "snapshot"
        if snapshot.exists():
            text = snapshot.read_bytes()
            snapshot.write_bytes(text[: self._draw.randrange(len(text))])
        # The next good document makes a whole one.
        self._put_good()
        eventually(lambda: _whole(snapshot), "a whole snapshot again", within=_SETTLES_WITHIN_S)

    def _settles(self) -> None:
        """Wait until the newest document decides, fresh."""

        def settled() -> bool:
            status = self._sidecar.status()
            newest = list(self._rules.order)[-1]
            return status.source_state == pb.SOURCE_STATE_SYNCED and status.revision == newest

        eventually(settled, "the newest document in force after all faults", within=_SETTLES_WITHIN_S)

    def _check(self) -> None:
        answered = self._scheduler.answered
        self.result.calls = len(answered) + len(self.result.failed)
        generations: dict[int, int] = {}
        for each in answered:
            why = self._rules.wrong(each.request, each.answer, self._times(each))
            if not why and each.answer.generation < generations.get(each.life, 0):
                why = f"generation {each.answer.generation} after {generations[each.life]}"
            generations[each.life] = each.answer.generation
            if why:
                self.result.wrong.append(f"{each.request.app} at {each.began:.1f}: {why}")

    def _times(self, each: _Answered) -> list[float]:
        """Return times by the sidecar's clock at which it may have decided: every quarter of a second, all offsets."""
        began, ended = each.began - _SLACK_S, each.ended
        offsets = [
            offset
            for (since, offset), (until, _) in zip(
                self._offsets, [*self._offsets[1:], (float("inf"), 0.0)], strict=True
            )
            if since <= ended and until >= began
        ]
        steps = int((ended - began) * 4) + 1
        return [ended - step / 4 + offset for offset in offsets for step in range(steps)]


def _whole(snapshot: Path) -> bool:
    header, _, text = snapshot.read_bytes().partition(b"\n")
    try:
        return bool(json.loads(header)["sha256"] == sha256(text).hexdigest())
    except ValueError:
        return False


def _center(source: str, stack: ExitStack, folder: Path) -> Center:
    match source:
        case "fake":
            return FakeOne(stack, folder)
        case "file":
            return FileOne(stack, folder)
        case "zookeeper":
            return ZooKeeperOne(stack, folder)
        case _:
            return NacosOne(stack, stack.enter_context(NacosServer(folder / "nacos")))


def run(seed: int, source: str, seconds: float, tell: Callable[[str], None] = lambda _: None) -> Result:
    """Run one campaign in a folder of its own, and return what came of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        return Campaign(stack, folder, seed=seed, source=source, tell=tell).run(seconds)


def main() -> int:
    """Run a campaign for each source, one after the other, within the time given for all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--source", action="append", choices=("fake", "file", "zookeeper", "nacos"))
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    sources = given.source or ["file", "zookeeper"]
    good_so_far = True
    for source in sources:
        result = run(given.seed, source, given.seconds / len(sources), print if given.verbose else lambda _: None)
        print(f"{result}\n", flush=True)
        good_so_far = good_so_far and not result.wrong and not result.failed
    return 0 if good_so_far else 1


if __name__ == "__main__":
    sys.exit(main())
