"""Counting without a lock: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import threading
from time import perf_counter

from sidecar.counters import BOUNDS, DurationHistogram, LabeledCounters, MethodStats
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.document import parse_document
from sidecar.server.decisions import DecisionHandler
from sidecar.sources.base import Content
from sidecar.table import RoutingTable


def test_threads_lose_no_tick() -> None:
    """Four threads that raise one counter while another reads it lose none, and reading adds none."""
    counters = LabeledCounters()
    running = threading.Event()

    def work() -> None:
        increment = counters.increment("billing", "dc1")
        for _ in range(20_000):
            increment()

    def look() -> None:
        while not running.is_set():
            list(counters.totals())

    reader = threading.Thread(target=look)
    reader.start()
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    running.set()
    reader.join()
    assert list(counters.totals()) == [(("billing", "dc1"), 80_000)]


def test_times_fall_into_buckets() -> None:
    """A time counts for its bucket and all above it; the last one takes whatever is longer."""
    times = DurationHistogram()
    for seconds in (0.00005, BOUNDS[0], 0.003, 30.0):
        times.add(seconds)
    buckets, total = times.totals()
    assert buckets[0] == 2
    assert buckets[BOUNDS.index(0.005)] == 3
    assert buckets[-2:] == [3, 4]
    assert abs(total - 30.00315) < 1e-9


def test_no_times_are_zeros() -> None:
    """Before the first call every bucket is there, empty."""
    assert DurationHistogram().totals() == ([0] * (len(BOUNDS) + 1), 0.0)


def test_a_method_counts_how_calls_end() -> None:
    """Calls answered count as OK, the others under the status that they ended with."""
    stats = MethodStats("/pkg.Service/Call", "unary")
    stats.answered(perf_counter())
    stats.ended("NOT_FOUND")
    assert (stats.service, stats.method) == ("pkg.Service", "Call")
    assert dict(stats.handled()) == {"OK": 1, "NOT_FOUND": 1}


def test_decisions_count_remembered_ones_too() -> None:
    """Each answer counts once, from the memo or not, under its application or `other`, by its datacenter and reason."""
    table = RoutingTable(parse=parse_document)
    table.deliver(Content(b"{default: dc1, apps: {billing: dc2}}", "1"))
    table.start()
    counters = LabeledCounters()
    decisions = DecisionHandler(table, max_candidates=9, memo_entries=8, memo_bytes=9000, counted=counters)
    worker = pb.Worker(address="a:1", datacenter="dc2")
    for app, aliases in (("billing", ()), ("nobody", ()), ("7", ("billing",))):
        request = pb.FilterWorkersRequest(app=app, app_aliases=aliases, candidates=[worker], dispatch=True)
        for _ in range(3):
            decisions.answer(request.SerializeToString())
    table.stop()
    assert dict(counters.totals()) == {("billing", "dc2", "ACTIVE"): 6, ("other", "", "NO_WORKERS"): 3}
