"""Jobs of a real scheduler run in the datacenter that the document says, by the workers' own records."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.powerjob.scheduler import Status
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.powerjob.site import Site

# The first test pays for the build and for what Maven fetches.
pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("name", ["billing", "the id"])
@pytest.mark.parametrize(
    ("datacenter", "workers"),
    [("dc1", {"dc1-plain", "dc1-spring"}), ("dc2", {"dc2-tag"}), ("dc3", {"dc3-silent"})],
)
def test_application_by_name_or_id(site: Site, name: str, datacenter: str, workers: set[str]) -> None:
    """A document may route an application by its name or by its id; workers are placed by metric, tag and address."""
    app = name if name == "billing" else str(site.app)
    other = "dc3" if datacenter == "dc2" else "dc2"
    site.route(f'default: {other}\napps: {{"{app}": {datacenter}}}\n')
    job = site.scheduler.save_job(site.app)
    assert set(site.run(job)) <= workers


def test_switch(site: Site) -> None:
    """After a switch the next dispatch of the same job goes elsewhere, and after the switch back it returns."""
    job = site.scheduler.save_job(site.app)
    for datacenter in ("dc1", "dc2", "dc3", "dc1"):
        site.route(f"default: {datacenter}\n")
        for _ in range(3):
            (worker,) = site.run(job)
            assert worker.startswith(datacenter)


def test_no_call_in_the_steady_state(site: Site) -> None:
    """While nothing changes, dispatches of a known job ask the sidecar nothing."""
    site.route("default: dc1\n")
    job = site.scheduler.save_job(site.app)
    site.run(job)
    before = site.scheduler.decisions()
    for _ in range(10):
        site.run(job)
    after = site.scheduler.decisions()
    assert after["memory"] >= before["memory"] + 10
    # The job that the clock triggers may have come in between, and asked once for itself.
    assert after["sidecar"] <= before["sidecar"] + 1


def test_split(site: Site) -> None:
    """Of 200 jobs a tenth goes to dc2: exactly those that the rules choose, job by job."""
    site.route("default: {split: {dc1: 90, dc2: 10}}\n")
    jobs = [site.scheduler.save_job(site.app) for _ in range(200)]
    instances = {site.scheduler.run(site.app, job): job for job in jobs}
    for instance in instances:
        site.scheduler.wait_for(instance)
    workers = {"10.0.0.1:1": "dc1", "10.0.0.2:1": "dc2"}
    expected = {job: site.sidecar.decide(site.app_name, job, workers) for job in jobs}
    ran = site.ran(instances)
    actual = {job: ran[instance][0].split("-")[0] for instance, job in instances.items()}
    assert actual == expected
    assert all(len(workers) == 1 for workers in ran.values())
    assert 8 <= Counter(actual.values())["dc2"] <= 36
    # Named in mid-release by its name, then by its number, then with the split written once more: nothing moves.
    moved = sorted(jobs, key=lambda job: actual[job] == "dc1")[:40]
    for apps in (
        "apps: {billing: {min_workers: 1}}",
        f'apps: {{"{site.app}": {{min_workers: 1}}}}',
        f'apps: {{"{site.app}": {{split: {{dc1: 90, dc2: 10}}}}}}',
    ):
        site.route(f"default: {{split: {{dc1: 90, dc2: 10}}}}\n{apps}\n")
        assert {job: site.run(job)[0].split("-")[0] for job in moved} == {job: actual[job] for job in moved}


def test_each_run_by_itself(site: Site) -> None:
    """Under `sticky: instance` the runs of one job are shared out, without a setting of the adapter."""
    site.route("default: {split: {dc1: 50, dc2: 50}, sticky: instance}\n")
    job = site.scheduler.save_job(site.app)
    instances = [site.scheduler.run(site.app, job) for _ in range(20)]
    for instance in instances:
        site.scheduler.wait_for(instance)
    assert {workers[0].split("-")[0] for workers in site.ran(instances).values()} == {"dc1", "dc2"}


def test_drill(site: Site) -> None:
    """A drill moves work away when it starts and back when it ends, without another edit of the document."""
    job = site.scheduler.save_job(site.app)
    site.route("default: {active: dc1, backups: [dc2]}\n")
    began = datetime.now(UTC)
    site.run(job)
    took = datetime.now(UTC) - began  # a busy machine runs a job in seconds, and a drill has to outlast some
    start = began + timedelta(seconds=5) + 3 * took
    until = start + timedelta(seconds=12) + 4 * took
    site.route(
        "default: {active: dc1, backups: [dc2]}\n"
        f'drills: [{{datacenter: dc1, start: "{start.isoformat()}", until: "{until.isoformat()}", reason: test}}]\n'
    )
    assert site.run(job)[0].startswith("dc1")
    eventually(lambda: site.run(job) == ["dc2-tag"], "the drill starts", within=60, every=0.2)
    assert datetime.now(UTC) >= start
    eventually(lambda: site.run(job)[0].startswith("dc1"), "the drill ends", within=90, every=0.2)
    assert datetime.now(UTC) >= until


def test_a_drained_worker_gets_no_work(site: Site) -> None:
    """Its datacenter goes on with the others, and without any other the backup serves."""
    plain, spring = (site.workers[name].address for name in ("dc1-plain", "dc1-spring"))
    route = "default: {active: dc1, backups: [dc2]}\n"
    job = site.scheduler.save_job(site.app)
    site.route(f'{route}workers: [{{match: "{plain.partition(":")[0]}:*", available: false}}]\n')
    assert [site.run(job) for _ in range(3)] == [["dc1-spring"]] * 3
    site.route(
        f'{route}workers: [{{match: 127.0.1.0/30, available: false}}, {{match: "{spring}", available: false}}]\n'
    )
    assert site.run(job) == ["dc2-tag"]


def test_designated_workers(site: Site) -> None:
    """A job's designated workers are its candidates: routed among them, and not to others."""
    site.route("default: {active: dc1, backups: [dc2, dc3]}\n")
    designated = site.workers["dc3-silent"].address
    job = site.scheduler.save_job(site.app, designatedWorkers=f"dc2,{designated}")
    assert site.run(job) == ["dc2-tag"]
    site.route("default: {active: dc3, backups: [dc2]}\n")
    assert site.run(job) == ["dc3-silent"]


def test_worker_limit_counts_after_routing(site: Site) -> None:
    """A job that wants one worker at most still finds the one of its datacenter."""
    site.route("default: dc3\n")
    job = site.scheduler.save_job(site.app, maxWorkerCount=1)
    assert site.run(job) == ["dc3-silent"]


def test_broadcast(site: Site) -> None:
    """A broadcast job runs once on each worker of its datacenter and on no other."""
    site.route("default: dc1\n")
    job = site.scheduler.save_job(site.app, "BroadcastJob", executeType="BROADCAST")
    instance = site.scheduler.run(site.app, job)
    site.scheduler.wait_for(instance, Status.SUCCEEDED)
    assert sorted(site.ran(instance)[instance]) == ["dc1-plain", "dc1-spring"]


def test_map_reduce(site: Site) -> None:
    """A MapReduce job's pieces stay in its datacenter and are shared by the workers there."""
    site.route("default: dc1\n")
    job = site.scheduler.save_job(site.app, "MapReduceJob", executeType="MAP_REDUCE", jobParams="20", concurrency=20)
    instance = site.scheduler.run(site.app, job)
    site.scheduler.wait_for(instance, Status.SUCCEEDED)
    pieces = Counter(site.ran(instance)[instance])
    assert set(pieces) == {"dc1-plain", "dc1-spring"}
    assert pieces.total() == 20


def test_cron(site: Site) -> None:
    """A job that a clock triggers follows a switch like one that is called for."""

    def newest() -> str:
        runs = [run for run in site.runs() if run.job == site.clockwork]
        return runs[-1].worker if runs else ""

    for worker in ("dc2-tag", "dc3-silent"):
        site.route(f"default: {worker[:3]}\n")
        eventually(lambda: newest() == worker, f"the clock's job runs on {worker}", within=60, every=0.2)  # noqa: B023


def test_workers_tell_in_three_ways(site: Site) -> None:
    """The server sees a metric from workers with our line or starter, and none from stock ones."""
    workers = site.scheduler.workers(site.app)
    told = {
        name: (workers[worker.address]["systemMetrics"]["extra"], workers[worker.address]["tag"])
        for name, worker in site.workers.items()
    }
    assert told == {
        "dc1-plain": ("dc1", None),
        "dc1-spring": ("dc1", None),
        "dc2-tag": (None, "dc2"),
        "dc3-silent": (None, None),
    }, json.dumps(told)
