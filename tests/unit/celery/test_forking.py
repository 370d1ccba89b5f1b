"""A publisher that forks after its first publish."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.client.conftest import Sidecar

# The parent publishes, and so does each of two children; a child's exit code says how.
PROGRAM = """
import os, sys
from celery import Celery
from sidecar.celery import DatacenterRouting
from sidecar.celery.live_workers import LiveWorkers

app = Celery("billing", broker="memory://", set_as_current=False)
routing = DatacenterRouting(
    app, target=sys.argv[1], state_dir=None, observe_every=0.0, datacenter="", timeout=10.0
)
routing.router.note_workers(LiveWorkers({"work": (("b@2", "dc2"),)}))
assert routing.router.place("work", "charge", "", "id").datacenter == "dc2"
for _ in range(2):
    child = os.fork()
    if child == 0:
        try:
            there = routing.router.place("work", "charge", "", "id").datacenter
            os.write(1, (there + " " + " ".join(routing.decisions) + "\\n").encode())
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
assert routing.router.place("work", "charge", "", "id").datacenter == "dc2"
routing.close()
"""


@pytest.mark.parametrize(("support", "origin"), [("1", "sidecar"), ("0", "routes")])
def test_each_child_routes_by_itself(sidecar: Sidecar, support: str, origin: str) -> None:
    """It connects anew where gRPC can, and uses its parent's routes where gRPC would abort it."""
    sidecar.serve("dc2")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, sidecar.address],
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": support},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"dc2 {origin}"] * 2
