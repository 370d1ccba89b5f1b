"""Which jobs are resharded, and how far ElasticJob is pushed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from sidecar.elasticjob.model import ElasticJob
from sidecar.elasticjob.registry import ElasticJobRegistry
from sidecar.elasticjob.resharding import MisplacedShard, execute, find_step
from sidecar.routing.candidates import Worker

INSTANCES = {"a@-@1": Worker("a:1", metrics="dc1"), "b@-@1": Worker("b:1", metrics="dc2")}


def job(*shards: str, running: frozenset[int] = frozenset(), leader: str = "") -> ElasticJob:
    """Return a job with instances in dc1 (a) and dc2 (b)."""
    identities = tuple(f"{each}@-@1" if each else "" for each in shards)
    return ElasticJob("settle", INSTANCES, identities, running, leader=leader)


def dc2(name: str, shard: str, workers: Sequence[Worker]) -> tuple[frozenset[str], str]:
    """Send each shard to dc2, except shard 0, which stays in dc1."""
    assert name == "settle"
    wanted = "dc1" if shard == "settle/0" else "dc2"
    return frozenset(worker.address for worker in workers if worker.metrics == wanted), wanted


def nobody(*_: object) -> tuple[frozenset[str], str]:
    """Send no shard anywhere."""
    return frozenset(), ""


def test_a_shard_that_is_elsewhere_is_a_step() -> None:
    """On another datacenter's instance, on none, or on one that has left."""
    step = find_step(job("a", "a", "b", "", "gone"), dc2)
    assert step is not None
    assert step.shards == (
        MisplacedShard(1, "a:1", "dc2"),
        MisplacedShard(3, "", "dc2"),
        MisplacedShard(4, "", "dc2"),
    )
    assert step.targets == {"dc2": 3}


def test_shards_in_their_places_need_nothing() -> None:
    """Nor does a job without instances, which ElasticJob shards when there are some."""
    assert find_step(job("a", "b", "b"), dc2) is None
    assert find_step(ElasticJob("settle", {}, ("",)), dc2) is None


def test_shards_that_nobody_may_run_are_taken_away() -> None:
    """Those that nobody has anyway are not."""
    step = find_step(job("a", ""), nobody)
    assert step is not None
    assert step.shards == (MisplacedShard(0, "a:1", ""),)
    assert find_step(job("", ""), nobody) is None


class FakeRegistry:
    """Notes what is done to it; `elected` are the leaders of its elections, the last one of all that follow."""

    def __init__(self, *elected: str, pending: bool = False) -> None:
        self.done: list[tuple[str, ...]] = []
        self._elected = list(elected)
        self._pending = pending

    def request_sharding(self, name: str) -> bool:
        self.done.append(("request", name))
        return not self._pending

    def forget_running(self, name: str, item: int) -> None:
        self.done.append(("forget", name, str(item)))

    def elect(self, name: str) -> str:
        self.done.append(("elect", name))
        return self._elected.pop(0) if len(self._elected) > 1 else self._elected[0]


def run(registry: FakeRegistry, of: ElasticJob, *, running: bool) -> bool:
    """Execute the step for a job."""
    step = find_step(of, dc2)
    assert step is not None
    return execute(cast("ElasticJobRegistry", registry), step, running=running)


def test_running_shards_are_waited_for() -> None:
    """Unless it is requested otherwise: then the misplaced ones are not, and a leader that runs one is replaced."""
    registry = FakeRegistry()
    blocked = job("a", "a", "b", running=frozenset({0, 1, 2}), leader="a@-@1")
    assert run(registry, blocked, running=False)
    assert registry.done == [("request", "settle")]
    registry = FakeRegistry("b@-@1", pending=True)
    assert not run(registry, blocked, running=True)
    assert registry.done == [("request", "settle"), ("forget", "settle", "1"), ("elect", "settle")]
    registry = FakeRegistry()
    run(registry, job("a", "a", running=frozenset({1}), leader="b@-@1"), running=True)
    assert ("elect", "settle") not in registry.done


@pytest.mark.parametrize(
    ("elected", "elections"),
    [(("a@-@1", "a@-@1", "b@-@1"), 3), (("a@-@1", ""), 2), (("a@-@1",), 20)],
    ids=["another", "nobody in time", "the same again and again"],
)
def test_a_leader_that_runs_a_shard_is_replaced_by_one_that_does_not(elected: tuple[str, ...], elections: int) -> None:
    """ElasticJob may elect the same instance: then there is another election, but not for ever."""
    registry = FakeRegistry(*elected)
    run(registry, job("a", "a", running=frozenset({1}), leader="a@-@1"), running=True)
    assert registry.done.count(("elect", "settle")) == elections


def test_where_each_instance_runs_a_shard_the_leader_stays() -> None:
    """An election would change nothing."""
    registry = FakeRegistry()
    alone = ElasticJob("settle", {"a@-@1": INSTANCES["a@-@1"]}, ("", "a@-@1"), frozenset({1}), leader="a@-@1")
    run(registry, alone, running=True)
    assert registry.done == [("request", "settle"), ("forget", "settle", "1")]
