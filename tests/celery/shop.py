"""The application under test: each task writes into its worker's record when it begins and ends."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery

from sidecar.celery import DatacenterRouting

APPLICATION = "billing"
RECORDS = "SHOP_RECORDS"
WORKER = "SHOP_WORKER"


def make_app(broker: str, results: str | None = None, **settings: Any) -> tuple[Celery, DatacenterRouting]:
    """Return an application with its tasks, routed; `settings` are those of CelerySettings."""
    app = Celery(APPLICATION, broker=broker, backend=results, set_as_current=False)
    app.conf.task_default_queue = "work"
    app.conf.broker_connection_retry_on_startup = True
    # Without confirmation a RabbitMQ that is killed loses what it has not written yet.
    app.conf.broker_transport_options = (
        {"confirm_publish": True} if broker.startswith("amqp") else {"visibility_timeout": 60}
    )
    app.conf.worker_prefetch_multiplier = 4
    app.conf.beat_schedule = {"each second": {"task": "shop.tick", "schedule": 1.0}}
    _add_tasks(app)
    return app, DatacenterRouting(app, application=APPLICATION, **settings)


def _add_tasks(app: Celery) -> None:
    @app.task(shared=False, name="shop.note", bind=True)
    def note(task: Any, number: int = 0) -> int:
        _record(task.request.id, "begin")
        return number

    @app.task(shared=False, name="shop.tick", bind=True)
    def tick(task: Any) -> None:
        _record(task.request.id, "tick")

    @app.task(shared=False, name="shop.gated", bind=True, acks_late=True)
    def gated(task: Any) -> None:
        _record(task.request.id, "begin")
        while not (Path(os.environ[RECORDS]) / "gate").exists():
            time.sleep(0.05)
        _record(task.request.id, "end")

    @app.task(shared=False, name="shop.flaky", bind=True, max_retries=None)
    def flaky(task: Any, gate: str) -> None:
        _record(task.request.id, f"try {task.request.retries}")
        if not Path(gate).exists():
            raise task.retry(countdown=0.3)

    @app.task(shared=False, name="shop.step", bind=True)
    def step(task: Any, _before: Any = None, *, gate: str = "", label: str = "") -> str:
        _record(task.request.id, f"begin {label}")
        while gate and not Path(gate).exists():
            time.sleep(0.02)
        return label


def _record(task: str, event: str) -> None:
    path = Path(os.environ[RECORDS]) / f"{os.environ[WORKER]}.jsonl"
    line = json.dumps({"task": task, "event": event, "at": time.time()})
    with path.open("a") as file:
        file.write(line + "\n")
