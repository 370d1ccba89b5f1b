"""Drill, gray release and switch with real workers on real brokers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.celery.site import CelerySite
from tests.waiting import eventually

DC1 = "default: {active: dc1, backups: [dc2, dc3]}\n"


def test_a_drill_moves_new_tasks_and_ends_by_itself(site: CelerySite) -> None:
    """While a drill lasts, tasks run in the first backup; after its end in the active datacenter, without an edit."""
    site.route(DC1)
    assert site.places(site.send("shop.note", count=10)) == {"dc1": 10}
    until = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    site.route(DC1 + f'drills: [{{datacenter: dc1, until: "{until}", reason: Q4 drill}}]\n')
    assert site.places(site.send("shop.note", count=10)) == {"dc2": 10}
    eventually(
        lambda: site.sidecar.status().generation > 0 and not site.sidecar.status().outages, "the drill's end", within=30
    )
    site.wait_until_followed()
    assert site.places(site.send("shop.note", count=10)) == {"dc1": 10}


def test_a_gray_release_runs_each_task_where_the_sidecar_says(site: CelerySite) -> None:
    """At 90:10 by id, each of 500 tasks runs in the datacenter that the sidecar names for its id, and none twice."""
    site.route("apps: {billing: {split: {dc1: 90, dc2: 10}, sticky: instance}}\n")
    calls = site.routing.decisions["sidecar"]
    tasks = site.send("shop.note", count=500)
    where = site.ran(tasks)
    assert all(len(workers) == 1 for workers in where.values())
    counted = site.places(tasks)
    assert 30 <= counted["dc2"] <= 75
    assert counted.total() == 500
    assert site.routing.decisions["sidecar"] - calls <= 3
