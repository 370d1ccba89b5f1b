"""Workers and the sidecar break while a real scheduler dispatches; the workers' own records tell what ran where."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.powerjob.scheduler import Scheduler, Status
from tests.powerjob.site import Sidecar, Tls
from tests.powerjob.worker import Worker
from tests.servers.process import free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

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
    assert site.scheduler.metric("away") == 0


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
        eventually(lambda: site.scheduler.metric("watching") == 0, "the adapter notices", within=15)
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


@pytest.mark.usefixtures("lost")
def test_second_server(site: Site, artifacts: Artifacts, tmp_path: Path) -> None:
    """A second server of the cluster, joined over TLS, routes its application by the plain filter."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    tls = Tls(tmp_path / "ca.pem", tmp_path / "certificate.pem", tmp_path / "key.pem")
    authority.cert_pem.write_to_path(str(tls.ca))
    issued.cert_chain_pems[0].write_to_path(str(tls.certificate))
    issued.private_key_pem.write_to_path(str(tls.key))
    target = f"localhost:{free_port()}"
    app = site.scheduler.register_app("reports")
    with ExitStack() as running:
        sidecar = running.enter_context(Sidecar(tmp_path, listen=target, tls=tls))
        second = running.enter_context(
            Scheduler(
                artifacts,
                tmp_path / "second",
                database=site.database,
                address="127.0.0.2",
                dc_sidecar__target=target,
                dc_sidecar__tls__ca=str(tls.ca),
                dc_sidecar__aspect="false",
            )
        )
        workers = {}
        for datacenter, address in (("dc1", "127.0.1.9"), ("dc3", "127.0.3.9")):
            where = {"DC_SIDECAR_DATACENTER": datacenter}
            worker = Worker(
                datacenter, artifacts, tmp_path, second, app=app, app_name="reports", address=address, environment=where
            )
            workers[datacenter] = worker
            running.callback(worker.process.kill)
            worker.process.start(wait=False)
        for worker in workers.values():
            worker.process.wait_ready()
        job = site.scheduler.save_job(app)
        for datacenter in ("dc1", "dc3", "dc1"):
            sidecar.put(f"default: dc2\napps: {{reports: {datacenter}}}\n")
            sidecar.wait_until_followed(second)
            # The first server hands the call to the one that the application's workers are connected to.
            instances = [site.scheduler.run(app, job) for _ in range(3)]
            for instance in instances:
                site.scheduler.wait_for(instance, Status.SUCCEEDED)
            assert {run.instance for run in workers[datacenter].runs()} >= set(instances)
        assert second.decisions()["sidecar"] == 3
        assert second.decisions()["memory"] >= 6


def test_workers_killed(site: Site, lost: Lost) -> None:
    """What ran on a killed worker goes to the backup, by PowerJob's own retry or by a retry that is asked for."""
    site.route(ROUTES)
    site.scheduler.wait_for(lost.failed, Status.FAILED, within=150)
    site.scheduler.call("retryInstance", appId=site.app, instanceId=lost.failed)
    site.scheduler.wait_for(lost.failed, Status.SUCCEEDED, within=60)
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
