"""The statistics of worker processes are summed, each count once, also of processes that are gone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.counters import CallStats
from sidecar.workers.stats_delta import StatsDelta, add_delta

PATH = "/pkg.Service/FilterWorkers"


def facts(stats: CallStats) -> object:
    """Return everything that statistics say of calls."""
    methods = [
        (each.path, each.kind, each.started.read(), sorted(each.handled()), each.times.totals()[0])
        for each in stats.methods
    ]
    return sorted(stats.decisions.totals()), methods


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["dc1", "dc2"]), st.booleans(), st.booleans())))
def test_the_sum_is_as_if_one_had_counted(calls: list[tuple[int, str, bool, bool]]) -> None:
    """However calls are spread over processes, and whenever these report, the sums are those of one process."""
    one, together = CallStats(), CallStats()
    each = [CallStats(), CallStats()]
    for stats in (one, *each):
        stats.method(PATH, "unary")
    deltas = [StatsDelta(stats) for stats in each]
    for process, datacenter, well, telling in calls:
        for stats in (one, each[process]):
            method = stats.methods[0]
            method.started.increment()
            stats.decisions.increment("billing", datacenter, "ACTIVE")()
            if well:
                method.answered(0.0)
            else:
                method.ended("UNAVAILABLE")
        if telling:
            add_delta(together, deltas[process].collect())
    for delta in deltas:
        add_delta(together, delta.collect())
    assert facts(together) == facts(one)


def test_nothing_new_is_nothing() -> None:
    """Without calls in between a report is empty; the first one has all methods, also those without calls."""
    stats = CallStats()
    stats.method(PATH, "unary").answered(0.0)
    stats.decisions.increment("billing", "dc1", "ACTIVE")()
    deltas = StatsDelta(stats)
    first, second = deltas.collect(), deltas.collect()
    assert [called.path for called in first.methods] == [PATH]
    assert (second.decisions, second.methods) == ([], [])
