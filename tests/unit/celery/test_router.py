"""Where a task goes: by memory, by the sidecar, and without either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sidecar.celery.live_workers import LiveWorkers
from sidecar.celery.router import Router
from sidecar.celery.settings import CelerySettings
from sidecar.client import AppRoute, FilterResult, Reason, RouteUpdate, RoutingClient, Worker
from sidecar.errors import NoDatacenter
from tests.unit.client.conftest import Sidecar
from tests.waiting import eventually

BOTH = LiveWorkers({"work": (("a@1", "dc1"), ("b@1", "dc1"), ("c@2", "dc2"), ("d@3", "dc3"))})
WITHOUT_DC1 = LiveWorkers({"work": (("c@2", "dc2"), ("d@3", "dc3"))})
NONE = LiveWorkers({})


class Ticking:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Routed:
    """A router and its client, as DatacenterRouting connects them."""

    def __init__(self, sidecar: Sidecar, **settings: object) -> None:
        self.sidecar = sidecar
        self.clock = Ticking()
        known = CelerySettings(application="billing", target=sidecar.address, timeout=5, datacenter="", **settings)  # type: ignore[arg-type]
        self.router = Router(known, lambda: self.client, clock=self.clock)
        self.client = RoutingClient(sidecar.address, timeout=5, on_routes=self.router.note_routes)
        self.router.note_workers(BOTH)

    def follow(self, text: str) -> None:
        self.sidecar.serve(text)
        eventually(lambda: self.current and self.generation == self.serving, "the router follows")

    @property
    def current(self) -> bool:
        return self.router.view is not None and self.router.view.epoch == self.client.epoch

    @property
    def generation(self) -> int:
        return 0 if self.router.view is None else self.router.view.update.generation

    @property
    def serving(self) -> int:
        return self.client.status().generation

    def place(self, *, key: str = "", task: str = "charge", task_id: str = "id", queue: str = "work") -> str:
        return self.router.place(queue, task, key, task_id).datacenter

    def lose(self) -> None:
        """End the sidecar, and wait until the watch has noticed."""
        self.sidecar.end()
        eventually(lambda: not self.client.caching, "the watch ends")


@pytest.fixture
def routed(sidecar: Sidecar) -> Iterator[Callable[..., Routed]]:
    """Make routers, and close them at the end."""
    made: list[Routed] = []

    def make(text: str, **settings: object) -> Routed:
        routed = Routed(sidecar, **settings)
        made.append(routed)
        routed.follow(text)
        return routed

    yield make
    for each in made:
        each.client.close()


def test_one_call_serves_all_tasks_of_a_route(routed: Callable[..., Routed]) -> None:
    """After the first task no call is made for others, whatever their names; a change brings one more."""
    here = routed("default: {active: dc1, backups: [dc2]}")
    assert {here.place(task=f"task-{number}") for number in range(50)} == {"dc1"}
    assert here.router.log.decisions == {"sidecar": 1, "memory": 49}
    here.follow("default: {active: dc2, backups: [dc1]}")
    assert [here.place(), here.place()] == ["dc2", "dc2"]
    assert here.router.log.decisions["sidecar"] == 2


@pytest.mark.parametrize(
    "route",
    [
        "split: {dc1: 70, dc2: 20, dc3: 10}",
        "split: {dc1: 90, dc2: 10}, sticky: instance",
        "split: {dc1: 50, dc4: 50}, backups: [dc3]",
        "split: {dc1: 50, dc3: 50}, min_workers: 2",
        "split: {dc4: 50, dc5: 50}, on_empty: any",
        "ramp: {from: dc1, to: dc2, start: '2020-01-01T00:00:00Z', duration: 200000h, steps: 20}",
    ],
)
def test_memory_answers_as_the_sidecar_would(routed: Callable[..., Routed], route: str) -> None:
    """For each of 200 keys the answer from memory is the sidecar's own; a few calls were enough."""
    here = routed(f"apps: {{billing: {{{route}, jobs: {{pinned: dc3}}}}}}")
    workers = [Worker(address, datacenter=where) for address, where in BOTH.queues["work"]]
    with RoutingClient(here.sidecar.address, cache_size=0, timeout=5) as own:
        for number in range(200):
            key = f"key-{number}"
            answer = own.filter("billing", job=key, instance=key, candidates=workers)
            expected = answer.datacenter or next(
                worker.datacenter for worker in workers if worker.address in answer.addresses
            )
            if "on_empty" in route:
                assert here.place(key=key) in {"dc1", "dc2", "dc3"}
            else:
                assert here.place(key=key) == expected
    assert here.place(key="key-1", task="pinned") == "dc3"
    assert here.router.log.decisions["sidecar"] <= 8


def test_lost_workers_move_new_tasks(routed: Callable[..., Routed]) -> None:
    """When a datacenter's workers are gone the sidecar is asked again, and names the next one."""
    here = routed("default: {active: dc1, backups: [dc2]}")
    assert here.place() == "dc1"
    here.router.note_workers(WITHOUT_DC1)
    assert here.place() == "dc2"


def test_a_task_without_workers_waits_where_it_prefers_to_run(routed: Callable[..., Routed]) -> None:
    """It is put into the queue of the first datacenter in service."""
    here = routed("datacenters: {dc1: {available: false}, dc2: {}}\ndefault: {active: dc1, backups: [dc2]}")
    here.router.note_workers(NONE)
    assert here.place() == "dc2"


def test_a_task_without_workers_may_fail(routed: Callable[..., Routed]) -> None:
    """With on_no_worker=fail publishing raises, naming the queue."""
    here = routed("default: {active: dc1, backups: [dc2]}", on_no_worker="fail")
    here.router.note_workers(NONE)
    with pytest.raises(NoDatacenter, match="queue work"):
        here.place()


def test_unrouted_tasks_stay_in_their_queue(routed: Callable[..., Routed]) -> None:
    """Where the document has no route, any worker may run a task."""
    assert routed("apps: {other: dc2}").place() == ""


def test_workers_that_are_not_known_are_not_made_up(routed: Callable[..., Routed]) -> None:
    """Before the first inspection the routes alone decide, and the sidecar is asked nothing."""
    here = routed("default: {active: dc1, backups: [dc2]}")
    here.router.workers = LiveWorkers.NONE
    assert here.place() == "dc1"
    assert here.router.log.decisions == {"routes": 1}
    assert here.client.route("billing").workers == ()


def test_without_the_sidecar_the_last_answer_holds(routed: Callable[..., Routed]) -> None:
    """It is used for `last_answer_for`; after that the last known routes decide."""
    here = routed("default: {active: dc1, backups: [dc2]}", last_answer_for=60.0)
    assert here.place() == "dc1"
    here.lose()
    here.router.confirm()
    assert here.place() == "dc1"
    assert here.router.log.decisions["last-answer"] == 1
    here.clock.now = 61
    here.router.note_workers(WITHOUT_DC1)
    assert here.place() == "dc2"
    assert here.router.log.decisions["last-known"] == 1
    assert here.router.log.episodes == 1
    assert here.router.log.ongoing


@pytest.mark.parametrize(("policy", "expected"), [("last-known", "dc3"), ("open", "")])
def test_without_an_answer_the_policy_decides(routed: Callable[..., Routed], policy: str, expected: str) -> None:
    """`last-known`: the split's own datacenter if it is in service, else a backup; `open`: any."""
    here = routed(
        "datacenters: {dc1: {available: false}, dc3: {}}\ndefault: {active: dc1, backups: [dc3]}", on_outage=policy
    )
    here.lose()
    assert here.place() == expected


def test_closed_refuses_without_an_answer(routed: Callable[..., Routed]) -> None:
    """With on_outage=closed publishing raises until the sidecar answers again."""
    here = routed("dc1", on_outage="closed")
    here.lose()
    with pytest.raises(NoDatacenter, match="on_outage is closed"):
        here.place()
    here.sidecar.begin()
    here.follow("dc1")
    assert here.place() == "dc1"
    assert not here.router.log.ongoing


def test_a_sidecar_that_did_not_answer_is_not_called(routed: Callable[..., Routed]) -> None:
    """After a failed call further tasks are routed without waiting, until it is `up`."""
    here = routed("default: {active: dc1}")
    here.lose()
    here.place(queue="first")
    assert here.router.down
    here.sidecar.begin()
    here.sidecar.serve("dc2")
    eventually(lambda: here.client.caching, "the watch is back")
    eventually(lambda: here.current and here.place() == "dc2", "the sidecar decides again")
    assert not here.router.down


def test_before_any_routes_every_worker_may_run_a_task(sidecar: Sidecar) -> None:
    """A process that has never reached the sidecar publishes to the plain queue."""
    sidecar.end()
    routed = Routed(sidecar, on_outage="last-known")
    routed.clock = Ticking()
    router = Router(
        routed.router.settings,
        lambda: routed.client,
        clock=routed.clock,
        wait=lambda _: setattr(routed.clock, "now", 9),
    )
    assert router.place("work", "charge", "", "id").datacenter == ""
    assert router.log.decisions == {"open": 1}
    routed.client.close()


class Undecided:
    """A client whose sidecar needs further requests as evidence."""

    epoch = 1

    def __init__(self) -> None:
        self.calls = 0

    def filter(self, _app: str, **_request: object) -> FilterResult:
        self.calls += 1
        return FilterResult(("b@1",), (0,), "dc1", Reason.ACTIVE, "r", 3, stale=False, undecided=self.calls < 3)


def test_an_undecided_answer_is_not_kept() -> None:
    """The sidecar needs the next tasks as evidence of a fault: each of them asks it, until it has decided."""
    client: Any = Undecided()
    router = Router(CelerySettings(application="billing", datacenter=""), lambda: client)
    router.note_routes(RouteUpdate("r", 3, False, AppRoute("", (("dc1", 1.0),), (), (), 1, "r", 3), ()), 1)
    router.note_workers(BOTH)
    assert {router.place("work", "charge", "", "id").datacenter for _ in range(6)} == {"dc1"}
    assert client.calls == 3
