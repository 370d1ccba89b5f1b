"""Moving waiting tasks, with queues in memory; tests/celery has the real brokers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from celery import Celery

from sidecar.celery.live_workers import LiveWorkers
from sidecar.celery.mover import QueueMover, summary
from sidecar.celery.queued_task import Moved, QueuedTask, Target, task_of
from sidecar.celery.router import Router
from sidecar.celery.settings import CelerySettings
from sidecar.client import RoutingClient
from tests.unit.client.conftest import Sidecar
from tests.waiting import eventually

WORKERS = LiveWorkers({"work": (("b@2", "dc2"), ("c@3", "dc3"))})


class MemoryQueues:
    """Queues in memory, for one process."""

    def __init__(self) -> None:
        self.queues: defaultdict[str, list[QueuedTask]] = defaultdict(list)
        self.unacked: list[QueuedTask] = []
        self.missing: set[str] = set()
        self.steps: list[int] = []
        self._passed = 0

    def depth(self, queue: str) -> int:
        return len(self.queues[queue])

    def exists(self, queue: str) -> bool:
        return queue not in self.missing

    def look(self, queue: str, count: int) -> list[QueuedTask]:
        return self.queues[queue][:count]

    def move(self, queue: str, target: Target, count: int) -> Moved:
        result = Moved()
        batch = self.queues[queue][self._passed : self._passed + count]
        self.steps.append(len(batch))
        result.ended = not batch
        for task in batch:
            name = target(task)
            result.count(name)
            if name:
                self.queues[queue].remove(task)
                self.queues[name].append(task)
            else:
                self._passed += 1
        return result

    def restore(self, queue: str, target: Target) -> Moved:
        result = Moved()
        result.ended = True
        for task in self.unacked:
            name = target(task) or queue
            result.count(name)
            self.queues[name].append(task)
        return result

    def close(self) -> None:
        self.queues.clear()


class Fixture:
    """A mover out of dc1, its queues, and the pauses that it made."""

    def __init__(self, sidecar: Sidecar, document: str) -> None:
        sidecar.serve(document)
        self.queues = MemoryQueues()
        self.pauses: list[float] = []
        settings = CelerySettings(
            application="billing", on_outage="closed", on_no_worker="fail", datacenter="dc1", timeout=5, state_dir=None
        )
        self.router = Router(settings, lambda: self.client)
        self.client = RoutingClient(sidecar.address, timeout=5, on_routes=self.router.note_routes)
        eventually(lambda: self.router.view is not None, "the routes")
        self.router.note_workers(WORKERS)
        self.mover = QueueMover(
            Celery("billing", broker="memory://", set_as_current=False),
            self.queues,
            self.router,
            datacenter="dc1",
            rate=100,
            pause=self.pauses.append,
            clock=lambda: 0.0,
        )


@pytest.fixture
def on(sidecar: Sidecar, request: pytest.FixtureRequest) -> Iterator[Fixture]:
    """Give a mover under the document of the test's parameter."""
    fixture = Fixture(sidecar, request.param)
    yield fixture
    fixture.client.close()


def task(number: int, *, app: str = "billing", job: str = "charge") -> QueuedTask:
    """Return a waiting task."""
    return QueuedTask(f"id-{number}", "charge", app, "work", job, f"id-{number}")


@pytest.mark.parametrize("on", ["default: {active: dc2, backups: [dc3]}"], indirect=True)
def test_tasks_move_in_order_and_at_a_rate(on: Fixture) -> None:
    """250 tasks go in three steps; between them it waits, so that no more than `rate` move in a second."""
    on.queues.queues["work.dc1"] = [task(number) for number in range(250)]
    result = on.mover.move("work", 1000)
    assert (result.found, result.moved, result.complete) == (250, {"work.dc2": 250}, True)
    assert [each.id for each in on.queues.queues["work.dc2"]] == [f"id-{number}" for number in range(250)]
    assert on.queues.steps == [100, 100, 50]
    assert on.pauses[:2] == [1.0, 2.0]


@pytest.mark.parametrize("on", ["default: {active: dc2, backups: [dc3]}"], indirect=True)
def test_no_more_than_the_limit_moves(on: Fixture) -> None:
    """What is published meanwhile is not waited for."""
    on.queues.queues["work.dc1"] = [task(number) for number in range(30)]
    assert on.mover.move("work", 20).moved == {"work.dc2": 20}
    assert on.queues.depth("work.dc1") == 10


@pytest.mark.parametrize("on", ["default: {active: dc1, backups: [dc2]}"], indirect=True)
def test_what_stays_is_counted_with_its_reason(on: Fixture) -> None:
    """Another application's tasks and those that belong where they are stay; without workers in dc1 the rest goes."""
    on.queues.queues["work.dc1"] = [task(1), task(2, app="other")]
    result = on.mover.move("work", 100)
    assert (result.moved, +result.kept) == ({"work.dc2": 1}, {"of another application": 1})
    on.router.note_workers(LiveWorkers({"work": (("a@1", "dc1"),)}))
    on.queues.queues["work.dc1"] = [task(3)]
    result = on.mover.look("work", 100)
    assert (result.moved, +result.kept) == ({}, {"belongs there": 1})
    on.router.note_workers(LiveWorkers({}))
    on.queues._passed = 0
    result = on.mover.move("work", 100)
    assert (result.moved, result.complete) == ({}, False)
    assert summary([result]) == "nothing moved; 1 stay: no datacenter may run it now"


@pytest.mark.parametrize("on", ["dc2"], indirect=True)
def test_a_task_is_never_sent_to_a_queue_that_is_not_there(on: Fixture) -> None:
    """RabbitMQ would drop it."""
    on.queues.missing.add("work.dc2")
    on.queues.queues["work.dc1"] = [task(1)]
    result = on.mover.move("work", 100)
    assert (result.moved, result.complete, on.queues.depth("work.dc1")) == ({}, False, 1)


@pytest.mark.parametrize("on", ["dc2"], indirect=True)
def test_received_tasks_move_if_asked(on: Fixture) -> None:
    """They are put into the target's queue, too."""
    on.queues.unacked = [task(7)]
    assert on.mover.move("work", 100).moved == {}
    assert on.mover.move("work", 100, unacked=True).moved == {"work.dc2": 1}


@pytest.mark.parametrize("on", ["dc2"], indirect=True)
def test_a_live_worker_of_the_datacenter_is_known(on: Fixture) -> None:
    """Then the tasks it has received are its own."""
    assert not on.mover.has_workers("work")
    on.router.note_workers(LiveWorkers({"work": (("a@1", "dc1"),)}))
    assert on.mover.has_workers("work")


def test_a_message_without_routing_is_decided_by_its_name() -> None:
    """The header has the rest; a message that is no task is none."""
    assert task_of({"id": "1", "task": "charge"}) == QueuedTask("1", "charge")
    asked = {"app": "billing", "queue": "work", "job": "17", "instance": "17"}
    routed = task_of({"id": "1", "task": "charge", "dc_sidecar": asked})
    assert routed == QueuedTask("1", "charge", "billing", "work", "17", "17")
    assert routed.key == "17"
    assert task_of({"id": "1", "task": "charge", "dc_sidecar": {**asked, "job": "charge"}}) != routed
    assert QueuedTask("1", "charge", job="charge").key == ""
    assert task_of(None) is None
    assert task_of({"task": "charge"}) is None
