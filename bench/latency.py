"""What the latency benches of the sources share: the newest decision, a bare client to compare with, their verdicts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from statistics import median, quantiles

from tests.harness import Caller

_ALLOWED = 1.2
_BURST_WITHIN = 3.0
_KILL_WITHIN = 10.0


class Sightings:
    """When a bare client had which text."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()

    def note(self, text: str) -> None:
        """Note that the client has a text now."""
        with self._changed:
            self._seen[text] = time.monotonic()
            self._changed.notify_all()

    def wait(self, text: str) -> float:
        """Return when the client had a text, once it has."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self._seen, 30), f"the bare client never saw {text!r}"
            return self._seen.pop(text)


def decided(caller: Caller, datacenter: str, since: int, within: float = 10.0) -> float:
    """Return when the first decision for this datacenter was answered, of those from the index `since` on."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        for answer in caller.answers[since:]:
            if answer.datacenter == datacenter:
                return answer.at + answer.took
            since += 1
        time.sleep(0.001)
    raise AssertionError(f"no decision for {datacenter} within {within:g} s")


def compare(took: Mapping[str, list[float]]) -> bool:
    """Print the milliseconds of the bare client and of the sidecar, in this order; return whether the ratio is good."""
    for name, values in took.items():
        print(
            f"{name:10} median {median(values):6.1f} ms   p95 {quantiles(values, n=20)[-1]:6.1f} ms   of {len(values)}"
        )
    bare, ours = (median(values) for values in took.values())
    print(f"ratio      {ours / bare:.2f} (allowed {_ALLOWED})")
    return ours / bare <= _ALLOWED


def bursts(caller: Caller, burst: Callable[[list[str]], None], *, count: int, size: int, settled_s: float) -> bool:
    """Publish bursts of texts by `burst`; return whether each time the last was in force soon, and remained."""
    behind = []
    for number in range(count):
        last = f"dc{number % 2 + 1}"
        burst([*(f"other-{number}-{each}" for each in range(size - 1)), last])
        ended = time.monotonic()
        behind.append(decided(caller, last, len(caller.answers)) - ended)
        time.sleep(settled_s)
        assert caller.answers[-1].datacenter == last, "went back after the burst"
    print(f"bursts     of {size}: {count}, the last in force at most {max(behind, default=0):.2f} s later")
    return max(behind, default=0) <= _BURST_WITHIN


def kills(
    caller: Caller, *, kill: Callable[[], None], start: Callable[[], None], publish: Callable[[str], object], count: int
) -> bool:
    """Kill the server and start it again; return whether a change that follows was in force soon each time."""
    behind = []
    for number in range(count):
        kill()
        time.sleep(random.uniform(0, 3))
        start()
        ready, since = time.monotonic(), len(caller.answers)
        text = f"dc{number % 2 + 2}"
        publish(text)
        behind.append(decided(caller, text, since, within=60) - ready)
        time.sleep(random.uniform(0, 3))
    slowest = ", ".join(f"{seconds:.2f}" for seconds in sorted(behind)[-3:])
    print(f"kills      {count}, in force after the server was ready: slowest {slowest} s")
    return max(behind, default=0) <= _KILL_WITHIN
