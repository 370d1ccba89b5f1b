"""Workers and the sidecar break while a real scheduler dispatches; the workers' own records tell what ran where."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.powerjob.scheduler import Status
from tests.powerjob.second import Second
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.powerjob.build import Artifacts
    from tests.powerjob.site import Site

# The first test pays for the build and for what Maven fetches.
pytestmark = pytest.mark.timeout(1200)

ROUTES = "default: {active: dc2, backups: [dc1]}\n"


def pinned(jobs: Mapping[int, str]) -> str:
    """Return the routes of this module with some jobs each in a datacenter of their own, without a backup."""
    pins = ", ".join(f'"{job}": {{active: {datacenter}, backups: []}}' for job, datacenter in jobs.items())
    return f"{ROUTES}apps: {{billing: {{jobs: {{{pins}}}}}}}\n"


@dataclass(frozen=True, slots=True)
class Lost:
    """What ran in dc2 when its worker was killed."""

    retried: int
    failed: int


@pytest.fixture(scope="module")
def lost(site: Site) -> Iterator[Lost]:
    """Kill dc2's worker while jobs run there. PowerJob needs over a minute to notice: the other tests run meanwhile."""
    site.route(ROUTES)
    persistent = site.scheduler.save_job(site.app, jobParams="60000@dc2-tag", instanceRetryNum=2)
    plain = site.scheduler.save_job(site.app, jobParams="60000@dc2-tag")
    retried, failed = site.scheduler.run(site.app, persistent), site.scheduler.run(site.app, plain)
    for instance in (retried, failed):
        eventually(lambda: site.ran(instance)[instance] == ["dc2-tag"], "the job begins in dc2")  # noqa: B023
        # Before a worker's first report, up to 20 s later, PowerJob would take the instance for one that never arrived.
        site.scheduler.wait_for(instance, Status.RUNNING, within=60)
    worker = site.workers["dc2-tag"].process
    worker.kill()
    yield Lost(retried, failed)
    if not worker.running:
        worker.start()


@pytest.mark.usefixtures("lost")
def test_hold(site: Site) -> None:
    """A job whose datacenter has no workers waits; when the switch has arrived it is dispatched by itself."""
    job = site.scheduler.save_job(site.app)
    site.route(pinned({job: "dc4"}))
    held = site.scheduler.metric("held")
    instance = site.scheduler.run(site.app, job)
    assert site.scheduler.status(instance) == Status.WAITING_DISPATCH
    assert site.scheduler.metric("held") > held
    # What can run is not held up.
    other = site.scheduler.save_job(site.app)
    site.route(pinned({job: "dc4", other: "dc3"}))
    assert site.run(other) == ["dc3-silent"]
    assert site.scheduler.status(instance) == Status.WAITING_DISPATCH
    site.route(pinned({job: "dc3"}))
    # The scheduler looks at waiting instances every 10 s, at those that are 30 s late.
    site.scheduler.wait_for(instance, Status.SUCCEEDED, within=120)
    assert site.ran(instance)[instance] == ["dc3-silent"]


@pytest.mark.usefixtures("lost")
def test_sidecar_killed(site: Site) -> None:
    """Killed and started again under dispatches, the sidecar costs no job its place; what it then says is followed."""
    job = site.scheduler.save_job(site.app)
    site.route(pinned({job: "dc3"}))
    site.run(job)
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(site.sidecar.kill)
        instances = [site.scheduler.run(site.app, job) for _ in range(30)]
        killed.result()
        eventually(lambda: site.scheduler.metric("watching") == 0, "the adapter notices")
        instances += [site.scheduler.run(site.app, job) for _ in range(30)]
        assert site.scheduler.metric("away") == 1
        started = pool.submit(site.sidecar.start)
        instances += [site.scheduler.run(site.app, job) for _ in range(30)]
        started.result()
    for instance in instances:
        site.scheduler.wait_for(instance, Status.SUCCEEDED)
    assert all(workers == ["dc3-silent"] for workers in site.ran(instances).values())
    site.wait_until_followed()
    site.route(pinned({job: "dc1"}))
    assert site.run(job)[0].startswith("dc1")
    eventually(lambda: site.scheduler.metric("away") == 0, "the outage ends")


@pytest.mark.usefixtures("lost")
def test_sidecar_frozen(site: Site) -> None:
    """A sidecar that hangs delays one dispatch by its deadline at most, and known jobs stay where they were."""
    jobs = [site.scheduler.save_job(site.app) for _ in range(5)]
    site.route(pinned(dict.fromkeys(jobs, "dc3")))
    for job in jobs:
        site.run(job)
    before = site.scheduler.decisions()
    site.sidecar.freeze()
    try:
        eventually(lambda: site.scheduler.metric("watching") == 0, "the adapter notices")
        begun = time.monotonic()
        instances = [site.scheduler.run(site.app, job) for job in jobs for _ in range(4)]
        took = time.monotonic() - begun
        for instance in instances:
            site.scheduler.wait_for(instance, Status.SUCCEEDED)
    finally:
        site.sidecar.thaw()
    assert all(workers == ["dc3-silent"] for workers in site.ran(instances).values())
    assert site.scheduler.decisions()["last_answer"] >= before["last_answer"] + 20
    # 20 dispatches that each waited for the deadline of 10 s would take 200 s.
    assert took < 10
    site.wait_until_followed()


@pytest.fixture(scope="module")
def second(site: Site, artifacts: Artifacts, lost: Lost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:  # noqa: ARG001 - PowerJob needs its time to notice meanwhile
    """Run a second server of the cluster, with workers of its own."""
    with Second(site, artifacts, tmp_path_factory.mktemp("second")) as running:
        yield running


def test_second_server(second: Second) -> None:
    """A second server of the cluster routes its application by the plain filter, over mutual TLS with a policy."""
    job = second.first.save_job(second.app)
    for datacenter in ("dc1", "dc3", "dc1"):
        second.route(datacenter)
        # The first server hands the call to the one that the application's workers are connected to.
        instances = [second.first.run(second.app, job) for _ in range(3)]
        for instance in instances:
            second.first.wait_for(instance, Status.SUCCEEDED)
        assert second.ran(*instances) == [[datacenter]] * 3
    decisions = second.scheduler.decisions()
    # Where the machine is too busy for the adapter's health check, which has a second, the last known routes decide.
    unanswered = second.scheduler.metric("unanswered")
    assert decisions["last_known"] + decisions["last_answer"] == unanswered
    # The first dispatch asks; after a switch the answer may have been fetched ahead.
    assert decisions["sidecar"] <= 3
    assert decisions["sidecar"] + unanswered >= 1
    assert decisions["sidecar"] + decisions["memory"] == 9 - unanswered
    # The policy is in force: another certificate of the same authority may make no call.
    with pytest.raises(grpc.RpcError, match=r"dns:stranger\.example"):
        second.sidecar.status("stranger")


def test_what_failed_is_brought_back_at_the_switch(second: Second) -> None:
    """Jobs and a workflow that found nobody run in the datacenter that work is switched to, as the audit reports."""
    jobs = [second.first.save_job(second.app) for _ in range(3)]
    workflow = second.first.save_workflow(second.app, *jobs[:2])
    second.route("dc4")
    failed = [second.first.run(second.app, job) for job in jobs]
    run = int(second.first.call("runWorkflow", appId=second.app, workflowId=workflow))
    for instance in failed:
        assert second.first.wait_for(instance)["result"] == "no worker available"
    eventually(lambda: second.workflow(run)["status"] == 3, "the workflow fails", within=30, every=0.1)
    second.route("dc3")
    for instance in failed:
        second.first.wait_for(instance, Status.SUCCEEDED)
    eventually(lambda: second.workflow(run)["status"] == 4, "the workflow succeeds", within=150, every=0.1)
    assert second.ran(*failed) == [["dc3"]] * 3
    assert second.ran(*second.steps(run)) == [["dc3"]] * 2
    eventually(lambda: second.report() == "reports: 3 retried, 1 workflow retried", "the report", within=30, every=0.1)


def test_what_runs_is_moved_on_request(second: Second) -> None:
    """With `running` what runs in the datacenter that was left begins again in the other one; its end counts there."""
    job = second.first.save_job(second.app, jobParams="60000@dc1")
    workflow = second.first.save_workflow(second.app, job, second.first.save_job(second.app))
    second.route("dc1")
    instance = second.first.run(second.app, job)
    run = int(second.first.call("runWorkflow", appId=second.app, workflowId=workflow))
    eventually(lambda: second.ran(instance, second.steps(run)[0]) == [["dc1"], ["dc1"]], "both begin", within=150)
    second.route("dc3")
    second.first.wait_for(instance, Status.SUCCEEDED)
    eventually(lambda: second.workflow(run)["status"] == 4, "the workflow succeeds", within=150, every=0.1)
    assert second.ran(instance) == [["dc1", "dc3"]]
    assert second.ran(*second.steps(run)) == [["dc3"]] * 2
    assert second.ran(instance, event="end") == [["dc3"]]
    eventually(lambda: second.report() == "reports: 2 stopped and retried", "the report", within=30, every=0.1)


def test_a_fixed_rate_job_follows_a_switch(second: Second) -> None:
    """Its one endless instance is stopped where work has left, and PowerJob starts it in the other datacenter."""
    second.route("dc1")
    job = second.first.save_job(second.app, timeExpressionType="FIXED_RATE", timeExpression="1000")

    def newest() -> str:
        runs = [run for worker in second.workers.values() for run in worker.runs() if run.job == job]
        return max(runs, key=lambda run: run.at).worker if runs else ""

    try:
        eventually(lambda: newest() == "dc1", "it runs in dc1", within=90, every=0.2)
        second.route("dc3")
        eventually(lambda: newest() == "dc3", "it runs in dc3", within=90, every=0.2)
    finally:
        second.first.call("disableJob", jobId=job)


def test_by_hand(second: Second) -> None:
    """The command shows, then moves, then finds nothing; it signs in as PowerJob's own client does."""
    second.route("dc3")
    # The reaction of an earlier test repeats an attempt that failed, for up to an hour, and would retry this run too.
    second.sidecar.kill()
    job = second.first.save_job(second.app, designatedWorkers="127.0.0.9:1")
    instance = second.first.run(second.app, job)
    assert second.first.wait_for(instance)["result"] == "no worker available"
    assert second.first.save_job(second.app, id=job) == job
    assert f"{instance}  {job} SleepJob" in second.retry("--dry-run")
    assert second.first.status(instance) == Status.FAILED
    assert second.retry("--yes").endswith("1 retried\n")
    second.first.wait_for(instance, Status.SUCCEEDED)
    assert second.retry("--yes") == ""
    assert second.ran(instance) == [["dc3"]]
    second.sidecar.start()


def retry_by_hand(site: Site) -> None:
    """Bring back an application's work by the command, without a password."""
    server = f"http://127.0.0.1:{site.scheduler.http}"
    command = ["powerjob", "retry", site.app_name, "--server", server, "--since", "10m", "--yes"]
    subprocess.run([sys.executable, "-m", "sidecar", *command], check=True, timeout=60)


def test_workers_killed(site: Site, lost: Lost) -> None:
    """What ran on a killed worker goes to the backup, by PowerJob's own retry or by a retry that is asked for."""
    site.route(ROUTES)
    site.scheduler.wait_for(lost.failed, Status.FAILED, within=150)
    retry_by_hand(site)
    site.scheduler.wait_for(lost.failed, Status.SUCCEEDED)
    site.scheduler.wait_for(lost.retried, Status.SUCCEEDED, within=150)
    for workers in site.ran([lost.failed, lost.retried]).values():
        assert workers[0] == "dc2-tag"
        assert workers[-1].startswith("dc1")
    finished = site.ran([lost.failed, lost.retried], "end").values()
    assert all(len(workers) == 1 and workers[0].startswith("dc1") for workers in finished)


@pytest.mark.usefixtures("lost")
def test_workers_return(site: Site) -> None:
    """When the killed worker is back, the next dispatch returns to its datacenter."""
    site.route(ROUTES)
    worker = site.workers["dc2-tag"]

    def heard() -> object:
        return site.scheduler.workers(site.app).get(worker.address, {}).get("lastActiveTime")

    last = heard()
    worker.process.start()
    # Until its first heartbeat PowerJob may take the killed one for alive, and send it what nobody receives.
    eventually(lambda: heard() not in {None, last}, "the new worker's first heartbeat", within=60)
    job = site.scheduler.save_job(site.app)
    eventually(lambda: site.run(job) == ["dc2-tag"], "work returns", within=60, every=0.5)
