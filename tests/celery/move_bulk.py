"""Moves the tasks of a queue that no worker consumes, for a test to count them: `move_bulk BROKER SIDECAR [CA]`."""

from __future__ import annotations

import sys
from pathlib import Path

from celery import Celery

from sidecar.celery.broker import open_queues
from sidecar.celery.live_workers import LiveWorkers
from sidecar.celery.mover import QueueMover
from sidecar.celery.router import Router
from sidecar.celery.settings import CelerySettings
from sidecar.client import RoutingClient, Tls
from tests.celery.shop import APPLICATION
from tests.waiting import eventually


def main() -> None:
    """Move all, and print how many went to each queue."""
    broker, target, *ca = sys.argv[1:]
    tls = Tls(ca=Path(ca[0])) if ca else None
    settings = CelerySettings(
        application=APPLICATION, timeout=5, on_outage="closed", on_no_worker="fail", datacenter="dc1", state_dir=None
    )
    router = Router(settings, lambda: client)
    app = Celery(APPLICATION, broker=broker, set_as_current=False)
    with RoutingClient(target, tls=tls, timeout=5, on_routes=router.note_routes) as client, open_queues(app) as queues:
        eventually(lambda: router.view is not None, "the routes")
        router.note_workers(LiveWorkers({"bulk": (("b@2", "dc2"), ("c@3", "dc3"))}))
        result = QueueMover(app, queues, router, datacenter="dc1", rate=1_000_000).move("bulk", 1_000_000)
        print(result.found, dict(result.moved), dict(+result.kept))


if __name__ == "__main__":
    main()
