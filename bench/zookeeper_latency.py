"""Measures the time from a `set` in ZooKeeper to the first decision by it, compared with a kazoo DataWatch.

    python -m bench.zookeeper_latency [--rounds 50]

Starts a real server and sets in turn the node of a bare DataWatch and the node of our source, which feeds a table; a
decision follows as soon as the table has changed. Exits with 1 if our median is more than 1.3 times the bare one's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from kazoo.client import KazooClient

from sidecar.routing.decision import decide
from sidecar.sources import open_source
from sidecar.table import RoutingTable
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client

_ALLOWED = 1.3
_DOCUMENT = """\
datacenters: [dc1, dc2, dc3]
default: {{active: {datacenter}, backups: [dc3]}}
apps:
  billing: {{split: {{dc1: 90, dc2: 10}}, sticky: job}}
  reports: {{active: dc2, min_workers: 2}}
meta: {{reason: round {round}}}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, ZooKeeperServer(Path(folder)) as server:
        measured = measure(server.address, rounds)
    for name, took in measured.items():
        cuts = quantiles(took, n=20)
        print(f"{name:10} median {median(took):6.2f} ms   p95 {cuts[-1]:6.2f} ms   of {len(took)}")
    ratio = median(measured["sidecar"]) / median(measured["DataWatch"])
    print(f"ratio      {ratio:.2f} (allowed {_ALLOWED})")
    return 0 if ratio <= _ALLOWED else 1


def measure(address: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each round for both."""
    with zookeeper_client(address) as operator, zookeeper_client(address) as watcher:
        for node in ("/bare", "/ours"):
            operator.create(node, _DOCUMENT.format(datacenter="dc1", round=0).encode())
        bare, ours = _Bare(watcher), _Ours(address)
        try:
            took: dict[str, list[float]] = {"DataWatch": [], "sidecar": []}
            for number in range(1, rounds + 1):
                text = _DOCUMENT.format(datacenter=f"dc{number % 2 + 1}", round=number).encode()
                took["DataWatch"].append(_time(partial(operator.set, "/bare", text), bare.seen, text))
                took["sidecar"].append(_time(partial(operator.set, "/ours", text), ours.decided, text))
            return took
        finally:
            ours.stop()


class _Arrivals:
    """The texts that have arrived, with their times."""

    def __init__(self) -> None:
        self._at: dict[bytes, float] = {}
        self._changed = threading.Condition()

    def note(self, text: bytes) -> None:
        at = time.perf_counter()
        with self._changed:
            self._at.setdefault(text, at)
            self._changed.notify()

    def wait(self, text: bytes) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: text in self._at, 10):
                sys.exit("a change did not arrive within 10 s")
            return self._at[text]


class _Bare:
    def __init__(self, client: KazooClient) -> None:
        self.seen = _Arrivals()
        client.DataWatch("/bare", lambda data, _: self.seen.note(data))


class _Ours:
    def __init__(self, address: str) -> None:
        self.decided = _Arrivals()
        self._table = RoutingTable()
        self._table.start()
        self._over = False
        self._scheduler = threading.Thread(target=self._decide)
        self._scheduler.start()
        self._source = open_source(f"zookeeper://{address}/ours", {})
        self._source.start(self._table.deliver)

    def stop(self) -> None:
        self._source.stop(5)
        self._over = True
        self._table.stop()
        self._scheduler.join()

    def _decide(self) -> None:
        state = None
        while not self._over:
            view = self._table.wait(state, 1)
            state = view.state
            if state is not None:
                decide(state, "billing", "7", "70", [])
                self.decided.note(view.text)


def _time(change: Callable[[], object], arrivals: _Arrivals, text: bytes) -> float:
    time.sleep(0.05)
    began = time.perf_counter()
    change()
    return (arrivals.wait(text) - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
