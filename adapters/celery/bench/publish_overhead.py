"""Measures what routing adds to a publish, hot and cold: `.venv/bin/python adapters/celery/bench/publish_overhead.py`.

Kombu's in-memory broker takes the messages; the sidecar and its socket are real. Hot figures are medians of the time
that `Publisher` takes beside Celery's own function; cold is the first publish of a new process' connection.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery

sys.path.insert(0, str(Path(__file__).parents[3]))

from sidecar.celery import DatacenterRouting
from sidecar.celery.live_workers import LiveWorkers
from tests.powerjob.site import Sidecar

PUBLISHES = 20_000
ROUTES = {
    "active": "default: {active: dc1, backups: [dc2]}\n",
    "split 90:10": "default: {split: {dc1: 90, dc2: 10}, backups: [dc3]}\n",
}
WORKERS = LiveWorkers({"celery": tuple((f"worker-{n}@host", f"dc{1 + n % 3}") for n in range(30))})


def main() -> None:
    """Print one line for each kind of route and of shares."""
    with tempfile.TemporaryDirectory() as folder:
        listen = f"unix:{folder}/sidecar.sock"
        with Sidecar(Path(folder), listen=listen) as sidecar:
            for name, route in ROUTES.items():
                sidecar.put(route)
                for share_by in ("task", "id"):
                    cold, hot = measure(listen, share_by)
                    print(f"{name:12} by {share_by:5} cold {cold * 1e3:6.1f} ms   hot {hot * 1e6:5.1f} µs")


def measure(listen: str, share_by: str) -> tuple[float, float]:
    """Return the seconds that the first publish took, and the median that routing adds to each further one."""
    app = Celery("billing", broker="memory://", set_as_current=False)
    routing = DatacenterRouting(
        app, target=listen, share_by=share_by, state_dir=None, observe_every=0.0, timeout=5.0, datacenter=""
    )
    routing.router.note_workers(WORKERS)
    publisher = app.amqp.send_task_message
    publisher._send = lambda *_args, **_options: None
    begun = time.perf_counter()
    publish(app, publisher, 0)
    cold = time.perf_counter() - begun
    for number in range(1000):
        publish(app, publisher, number)
    before = routing.decisions["sidecar"]
    took = []
    for number in range(PUBLISHES):
        message = app.amqp.as_task_v2(f"id-{number}", "shop.charge", (number,), {})
        begun = time.perf_counter()
        publisher(None, "shop.charge", message, queue="celery")
        took.append(time.perf_counter() - begun)
    assert routing.decisions["sidecar"] == before, "publishes called the sidecar"
    routing.close()
    return cold, statistics.median(took)


def publish(app: Celery, publisher: Callable[..., Any], number: int) -> None:
    """Publish one task to nowhere."""
    publisher(None, "shop.charge", app.amqp.as_task_v2(f"warm-{number}", "shop.charge", (number,), {}), queue="celery")


if __name__ == "__main__":
    main()
