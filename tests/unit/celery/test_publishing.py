"""What an application publishes, on Kombu's in-memory broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Ignore
from kombu.entity import Queue

from sidecar.celery import DatacenterRouting
from sidecar.celery.live_workers import LiveWorkers
from sidecar.celery.worker import WorkerHooks
from tests.unit.client.conftest import Sidecar
from tests.waiting import eventually

WORKERS = LiveWorkers(dict.fromkeys(("work", "mail", "reports", "urgent"), (("a@1", "dc1"), ("b@2", "dc2"))))
Make = Callable[..., tuple[Any, DatacenterRouting]]


@pytest.fixture
def make(sidecar: Sidecar) -> Iterator[Make]:
    """Make routed applications whose messages are kept in `app.sent`: exchange, queue, headers, declared queue."""
    made: list[DatacenterRouting] = []

    def build(document: str, **settings: Any) -> tuple[Any, DatacenterRouting]:
        sidecar.serve(document)
        app: Any = Celery("billing", broker="memory://", set_as_current=False)
        app.conf.task_default_queue = "work"
        queue: Any = Queue
        app.conf.task_queues = (
            queue("work"),
            queue("urgent", max_priority=7, queue_arguments={"x-queue-mode": "lazy"}),
        )
        app.conf.task_routes = {"billing.report": {"queue": "reports"}}
        options = {"target": sidecar.address, "state_dir": None, "observe_every": 0.0, "timeout": 5.0}
        routing = DatacenterRouting(app, **{**options, "datacenter": "", **settings})
        made.append(routing)
        routing.router.note_workers(WORKERS)
        app.sent = []

        def send(_producer: object, _name: str, message: Any, **options: Any) -> None:
            queue = options["queue"]
            key = getattr(queue, "name", queue)
            app.sent.append((options["exchange"], options["routing_key"] or key, message.headers, queue))

        app.amqp.send_task_message._send = send

        @app.task(name="billing.charge", bind=True, shared=False)
        def charge(task: Any, customer: int = 0, *, amount: int = 0) -> None: ...

        @app.task(name="billing.report", shared=False)
        def report() -> None: ...

        return app, routing

    yield build
    for routing in made:
        routing.close()


def keys(app: Any) -> list[str]:
    """Return the queues that messages went to."""
    return [key for _, key, _, _ in app.sent]


def test_each_queue_has_one_for_each_datacenter(make: Make) -> None:
    """The default queue, a queue of `task_routes` and a queue that the caller names are all routed."""
    app, _ = make("dc2")
    app.tasks["billing.charge"].delay()
    app.tasks["billing.report"].delay()
    app.tasks["billing.charge"].apply_async(queue="mail")
    assert keys(app) == ["work.dc2", "reports.dc2", "mail.dc2"]


def test_a_queue_of_another_datacenter_is_no_choice(make: Make) -> None:
    """A retry names the queue that its task came from: it is routed as any other."""
    app, _ = make("default: {active: dc2, backups: [dc1]}")
    task = app.tasks["billing.charge"]
    task.apply_async()
    task.apply_async(queue="work.dc1")
    task.push_request(
        id="1", args=(), kwargs={}, called_directly=False, delivery_info={"exchange": "", "routing_key": "work.dc1"}
    )
    with pytest.raises(Exception, match="Retry in"):
        task.retry(countdown=30)
    task.pop_request()
    assert keys(app) == ["work.dc2"] * 3


def test_excluded_queues_and_exchanges_are_left_alone(make: Make) -> None:
    """Neither a queue in `exclude` nor a message to an exchange is routed."""
    app, _ = make("dc2", exclude=["mail"])
    app.tasks["billing.charge"].apply_async(queue="mail")
    app.tasks["billing.charge"].apply_async(exchange="audit", routing_key="all")
    assert [(exchange, key) for exchange, key, _, _ in app.sent] == [(None, "mail"), ("audit", "all")]
    assert "dc_sidecar" not in app.sent[0][2]


def test_the_queue_of_a_datacenter_is_like_the_queue_beside_it(make: Make) -> None:
    """Priorities and arguments are those of the configured queue."""
    app, _ = make("dc2")
    app.tasks["billing.charge"].apply_async(queue="urgent")
    queue = app.sent[0][3]
    assert (queue.name, queue.max_priority, queue.queue_arguments) == ("urgent.dc2", 7, {"x-queue-mode": "lazy"})


def test_a_message_says_what_it_was_routed_by(make: Make) -> None:
    """The header has the application, the queue and the key, for whatever moves the message later."""
    app, _ = make("dc2", share_by="argument:customer")
    task = app.tasks["billing.charge"]
    task.apply_async((17,), task_id="one")
    task.apply_async((), {"customer": 18}, task_id="two")
    task.apply_async((), {"amount": 1}, task_id="three")
    app.send_task("elsewhere.known", kwargs={"customer": "x"}, task_id="four")
    headers = [header["dc_sidecar"] for _, _, header, _ in app.sent]
    assert headers[0] == {"app": "billing", "queue": "work", "job": "17", "instance": "17"}
    assert [header["job"] for header in headers] == ["17", "18", "three", "x"]


def test_tasks_of_one_argument_stay_together(make: Make) -> None:
    """Under a split, all tasks of a customer go to one datacenter; customers are spread."""
    app, _ = make("default: {split: {dc1: 50, dc2: 50}}", share_by="argument:customer")
    for customer in range(20):
        for _ in range(2):
            app.tasks["billing.charge"].delay(customer)
    assert keys(app)[::2] == keys(app)[1::2]
    assert set(keys(app)) == {"work.dc1", "work.dc2"}


def test_an_unrouted_task_goes_to_the_plain_queue(make: Make) -> None:
    """The document has no route for the application: all workers consume the plain queue."""
    app, _ = make("apps: {other: dc2}")
    app.tasks["billing.charge"].delay()
    assert keys(app) == ["work"]


class Starting:
    """A worker that is starting."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.pool_cls = Starting


def test_a_worker_consumes_the_queues_of_its_datacenter(make: Make) -> None:
    """Beside each queue that it was started with, unless that is excluded or is a datacenter's itself."""
    app, routing = make("dc2", datacenter="dc2", exclude=["mail"])
    app.amqp.queues.select(["work", "mail", "reports.dc2"])
    WorkerHooks(app, routing).prepare(Starting(app))
    assert set(app.amqp.queues.consume_from) == {"work", "work.dc2", "mail", "reports.dc2"}


@pytest.mark.parametrize(
    ("mode", "eta", "expected"),
    [
        ("eta", "2026-01-01T00:00:00Z", ["work.dc1"]),
        ("eta", None, []),
        ("always", None, ["work.dc1"]),
        ("never", "x", []),
    ],
)
def test_a_due_task_is_sent_on(make: Make, mode: str, eta: str | None, expected: list[str]) -> None:
    """A task that is about to run where it does not belong any more is published again, under its id."""
    app, routing = make("dc1", datacenter="dc2", forward=mode)
    WorkerHooks(app, routing).prepare(Starting(app))
    task = app.tasks["billing.charge"]
    asked = {"app": "billing", "queue": "work", "job": "billing.charge", "instance": "one"}
    request = {"id": "one", "task": "billing.charge", "args": (), "kwargs": {}, "eta": eta, "dc_sidecar": asked}
    task.push_request(**request, delivery_info={"exchange": "", "routing_key": "work.dc2"}, is_eager=False)
    if expected:
        with pytest.raises(Ignore):
            task.before_start("one", (), {})
        assert app.sent[0][2]["id"] == "one"
    else:
        task.before_start("one", (), {})
    assert keys(app) == expected
    app.sent.clear()
    task.request.headers = {"dc_sidecar_forwarded": 3}
    task.before_start("one", (), {})
    assert keys(app) == []


def test_close_ends_the_thread(make: Make) -> None:
    """After `close` nothing runs; the next publish connects anew."""
    app, routing = make("dc2")
    app.tasks["billing.charge"].delay()
    first = routing.client()
    routing.close()
    routing.router.note_workers(WORKERS)
    app.tasks["billing.charge"].delay()
    assert routing.client() is not first
    eventually(lambda: routing.decisions.total() == 1, "the new router counts")
    assert keys(app) == ["work.dc2", "work.dc2"]


def test_a_process_that_forks_uses_saved_routes(make: Make, tmp_path: Path) -> None:
    """It opens no connection, which would not survive a fork; another process saves the routes."""
    _, routing = make("dc2", state_dir=tmp_path)
    routing.client()
    eventually(lambda: list(tmp_path.glob("*/routes.json")), "the routes are saved")
    other, forking = make("dc2", state_dir=tmp_path)
    forking.never_connect()
    other.tasks["billing.charge"].delay()
    assert forking.client() is None
    assert keys(other) == ["work.dc2"]
    assert forking.decisions == {"routes": 1}
