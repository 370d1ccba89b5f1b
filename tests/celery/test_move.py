"""`dc-sidecar celery move` on real brokers: nothing lost, nothing doubled, and resumable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from tests.celery.site import CelerySite
from tests.waiting import eventually

TASKS = 10_000
DC1 = "default: {active: dc1, backups: [dc2, dc3]}\n"
ELSEWHERE = "apps: {billing: {split: {dc2: 50, dc3: 50}, sticky: instance}}\n"


def tls(site: CelerySite) -> list[str]:
    """Return the flags for a sidecar with TLS."""
    return ["--ca", str(site.ca)] if site.ca is not None else []


def move(site: CelerySite, *flags: str, code: int = 0) -> dict[str, Any]:
    """Run the command on the queue `work`; return its report."""
    command = [sys.executable, "-m", "sidecar", "celery", "move", "billing", "--from", "dc1", "--queue", "work"]
    done = subprocess.run(
        [*command, "--sidecar", site.listen, "--timeout", "10s", "-o", "json", *tls(site), *flags],
        env={**os.environ, "DC_SIDECAR_CELERY_BROKER": site.broker.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


def test_a_move_of_ten_thousand_loses_and_doubles_none(site: CelerySite) -> None:
    """Killed twice on its way and repeated, each task is in one queue: that of its own share, with its content."""
    site.route(DC1)
    with site.app.producer_pool.acquire(block=True) as producer:
        sent = [
            str(site.app.send_task("shop.note", (number,), queue="bulk.dc1", producer=producer).id)
            for number in range(TASKS)
        ]
    for name in ("bulk.dc2", "bulk.dc3"):
        site.take(name)
    site.route(ELSEWHERE)
    command = [
        sys.executable,
        "-m",
        "tests.celery.move_bulk",
        site.broker.url,
        site.listen,
        *map(str, filter(None, [site.ca])),
    ]
    for part in (0.2, 0.6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        # Each look opens connections to the broker, which has enough to do.
        eventually(
            lambda: site.depth("bulk.dc2") + site.depth("bulk.dc3") >= part * TASKS,  # noqa: B023
            "a part",
            within=60,
            every=0.1,
        )
        process.kill()
        process.wait(20)
    begun = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    print(done.stdout, f"the last part took {time.monotonic() - begun:.1f} s")
    there = {name: site.take(f"bulk.{name}") for name in ("dc1", "dc2", "dc3")}
    assert not there["dc1"]
    assert there["dc2"] + there["dc3"] == Counter(sent)
    order = site.routing.router.view
    assert order is not None
    for name in ("dc2", "dc3"):
        assert all(order.order("", task)[0] == name for task in list(there[name])[:200])


def test_what_a_lost_datacenter_had_runs_elsewhere(site: CelerySite) -> None:
    """Its workers killed with tasks running and queued: after the move each task has run elsewhere, once."""
    site.route(DC1)
    site.close_gate()
    worker = site.workers["dc1-a"]
    running = site.send("shop.gated", count=2)
    site.ran(running)
    queued = site.send("shop.note", count=60)
    worker.kill()
    try:
        site.wait_until_live("dc2-a", "dc3-a")
        assert move(site, "--dry-run")["queues"][0]["found"] >= 40
        report = move(site, "--yes", "--unacked")
        assert sum(report["queues"][0]["moved"].values()) == 62
        site.open_gate()
        where = site.ran(queued)
        assert {site.workers[name].datacenter for names in where.values() for name in names} == {"dc2"}
        assert all(len(names) == 1 for names in where.values())
        assert site.places(running, "end") == {"dc2": 2}
        assert move(site, "--yes")["queues"][0]["found"] == 0
    finally:
        site.open_gate()
        worker.start()
        site.wait_until_live(*site.workers)


def test_tasks_that_belong_where_they_are_stay(site: CelerySite) -> None:
    """A move out of a datacenter that serves moves nothing, and neither takes tasks of other applications."""
    site.route("default: {active: dc4, backups: [dc1]}\ndrills: []\n")
    site.route("default: dc4\n")
    site.send("shop.note", count=5, queue="idle.dc4")
    assert site.depth("idle.dc4") == 5
    command = [sys.executable, "-m", "sidecar", "celery", "move", "billing", "--from", "dc4", "--queue", "idle"]
    done = subprocess.run(
        [*command, "--sidecar", site.listen, *tls(site), "--yes", "--timeout", "10s"],
        env={**os.environ, "DC_SIDECAR_CELERY_BROKER": site.broker.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 5
    assert "5 stay: no datacenter may run it now" in done.stdout
    assert sum(site.take("idle.dc4").values()) == 5


def test_the_reaction_moves_what_waits_when_a_datacenter_is_marked(site: CelerySite) -> None:
    """Marked down after its workers died, its waiting tasks run in the backup; the audit says how many."""
    site.route(DC1)
    worker = site.workers["dc1-a"]
    worker.kill()
    try:
        queued = site.send("shop.note", count=20, queue="later")
        site.wait_until_live("dc2-a", "dc3-a")
        site.sidecar.document.write_text("datacenters: {dc1: {available: false}, dc2: {}, dc3: {}, dc4: {}}\n" + DC1)
        assert site.places(queued) == {"dc2": 20}
        eventually(lambda: "20 tasks moved to later.dc2" in site.history(), "the audit's record", within=30, every=0.5)
    finally:
        worker.start()
        site.route(DC1)
        site.wait_until_live(*site.workers)
