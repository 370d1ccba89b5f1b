"""Drill, gray release and switch with real workers on real brokers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from celery import Signature, chain, chord

from tests.celery.site import ROOT, CelerySite
from tests.servers.process import ServerProcess
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


def test_retries_and_due_tasks_run_where_work_belongs_then(site: CelerySite, tmp_path: Path) -> None:
    """A task retried, and one whose ETA comes, after a switch run in the new datacenter, and once."""
    site.route(DC1)
    gate = tmp_path / "gate"
    (flaky,) = site.send("shop.flaky", str(gate))
    assert site.places([flaky], "try 0") == {"dc1": 1}
    due = site.send("shop.note", count=3, countdown=3)
    site.route("default: {active: dc2, backups: [dc1]}\n")

    def places() -> set[str]:
        return {site.workers[run.worker].datacenter for run in site.runs() if run.task == flaky}

    eventually(lambda: "dc2" in places(), "a retry in dc2", within=60, every=0.05)
    gate.touch()
    assert site.places(due) == {"dc2": 3}
    last = max((run for run in site.runs() if run.task == flaky), key=lambda run: run.at)
    assert site.workers[last.worker].datacenter == "dc2"


def test_chains_and_chords_go_on_where_work_belongs_then(redis_site: CelerySite, tmp_path: Path) -> None:
    """The next task of a chain, and the callback of a chord, run in the datacenter that serves when they are due."""
    site = redis_site
    site.route(DC1)
    gate = str(tmp_path / "gate")

    def step(label: str, **more: str) -> Signature:
        return site.app.signature("shop.step", kwargs={"label": label, **more})

    chain(step("first", gate=gate), step("second"), app=site.app).apply_async()
    chord([step("header", gate=gate)], app=site.app)(step("callback"))

    def where(label: str) -> list[str]:
        return [site.workers[run.worker].datacenter for run in site.runs() if run.event == f"begin {label}"]

    eventually(lambda: where("first") and where("header"), "both have begun", within=60, every=0.05)
    site.route("default: {active: dc2, backups: [dc1]}\n")
    Path(gate).touch()
    eventually(lambda: where("second") and where("callback"), "both went on", within=60, every=0.05)
    assert (where("first"), where("header")) == (["dc1"], ["dc1"])
    assert (where("second"), where("callback")) == (["dc2"], ["dc2"])


def test_periodic_tasks_follow_a_switch(redis_site: CelerySite, tmp_path: Path) -> None:
    """Beat publishes each run of a periodic task to the datacenter that serves at that moment."""
    site = redis_site
    site.route(DC1)
    command = [sys.executable, "-m", "celery", "-A", "tests.celery.worker_app", "beat", "--loglevel", "INFO"]
    command += ["--schedule", str(tmp_path / "schedule"), "--pidfile", ""]
    log = tmp_path / "beat.log"
    environment = {**site.environment, "PYTHONPATH": str(ROOT)}

    def ticks(datacenter: str) -> int:
        return sum(run.event == "tick" and site.workers[run.worker].datacenter == datacenter for run in site.runs())

    with ServerProcess(command, ready=lambda: "Starting" in log.read_text(), log=log, env=environment):
        eventually(lambda: ticks("dc1") >= 2, "ticks in dc1", within=60, every=0.1)
        site.route("default: {active: dc2, backups: [dc1]}\n")
        eventually(lambda: ticks("dc2") >= 2, "ticks in dc2", within=60, every=0.1)
    assert ticks("dc3") == 0
