"""The adapter in PowerJob's stock server 4.3.9, run by a user without a passwd entry as in a container."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.powerjob.scheduler import Status
from tests.powerjob.site import Sidecar
from tests.powerjob.stock import AS_NOBODY, StockServer, readable
from tests.powerjob.worker import Worker, places
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.powerjob.build import Artifacts

# The first test pays for the build and for what Maven fetches.
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user"),
]


class Site:
    """The stock server, the sidecar, and a worker in each of two datacenters."""

    def __init__(self, server: StockServer, sidecar: Sidecar, workers: list[Worker], app: int) -> None:
        self.server = server
        self.sidecar = sidecar
        self.workers = workers
        self.app = app

    def route(self, text: str) -> None:
        """Put a document in force; return when the adapter follows."""
        self.sidecar.put(text)
        eventually(
            lambda: self.server.scrape()["dc_sidecar_generation"] == self.sidecar.status().generation, "followed"
        )

    def run(self, job: int) -> list[str]:
        """Run a job; return the workers that began it."""
        instance = self.server.run(self.app, job)
        self.server.wait_for(instance, Status.SUCCEEDED)
        return places((run for worker in self.workers for run in worker.runs()), [instance], "begin")[0]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Make a folder that every user may enter; those of pytest are its own user's."""
    with tempfile.TemporaryDirectory(prefix="dc-sidecar-stock-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def site(artifacts: Artifacts, folder: Path) -> Iterator[Site]:
    """Start everything; the socket is open to the server's user, as fsGroup makes it in a pod."""
    target = f"unix:{folder / 'sidecar.sock'}"
    sidecar = Sidecar(folder, listen=target)
    server = StockServer(artifacts, folder / "server", dc_sidecar__target=target, dc_sidecar__timeout="10s")
    with sidecar:
        (folder / "sidecar.sock").chmod(0o777)
        with server:
            app = server.register_app("billing")
            workers = [
                Worker(
                    name,
                    artifacts,
                    folder,
                    server,
                    app=app,
                    app_name="billing",
                    address=address,
                    environment={"DC_SIDECAR_DATACENTER": name},
                )
                for name, address in (("dc1", "127.0.1.21"), ("dc2", "127.0.2.21"))
            ]
            with workers[0], workers[1]:
                yield Site(server, sidecar, workers, app)


def test_switch(site: Site) -> None:
    """Jobs follow a switch by name and by number; the log says which PowerJob it is."""
    job = site.server.save_job(site.app)
    for text, worker in (
        ("default: dc1\n", "dc1"),
        ("default: dc1\napps: {billing: dc2}\n", "dc2"),
        (f'default: dc2\napps: {{"{site.app}": dc1}}\n', "dc1"),
    ):
        site.route(text)
        assert site.run(job) == [worker]
    log = site.server.process.log.read_text()
    assert "PowerJob 4.3.9" in log
    assert "not tested with" not in log
    assert "one decision per dispatch; target=" in log


def test_naming_in_the_middle_of_a_gray_release(site: Site) -> None:
    """Of 60 jobs none moves when the application is named by name, by number, or has the split written once more."""
    jobs = [site.server.save_job(site.app) for _ in range(60)]
    split = "{split: {dc1: 80, dc2: 20}}"
    ran = {}
    for apps in ("", "apps: {billing: {min_workers: 1}}", f'apps: {{"{site.app}": {split}}}'):
        site.route(f"default: {split}\n{apps}\n")
        ran[apps] = [site.run(job) for job in jobs]
    assert len({str(places) for places in ran.values()}) == 1
    assert 4 <= ran[""].count(["dc2"]) <= 24


def test_last_known_routes_over_a_restart(site: Site) -> None:
    """Server restarted while the sidecar is down: jobs run where the former routes allow, and the log counts them."""
    site.route("default: dc2\n")
    job = site.server.save_job(site.app)
    assert site.run(job) == ["dc2"]
    # Written at the adapter's next check, within a second; there is a file of the routes before.
    revision = site.sidecar.status().revision.encode()
    saved = site.server.process.log.parent / "dc-sidecar"
    eventually(lambda: any(revision in file.read_bytes() for file in saved.glob("routes-*")), "the routes are saved")
    site.sidecar.kill()
    site.server.process.terminate()
    site.server.process.start()
    for worker in site.workers:
        eventually(lambda: worker.address in site.server.workers(site.app), "the worker is back", within=90)  # noqa: B023
    assert [site.run(job) for _ in range(3)] == [["dc2"]] * 3
    assert site.server.scrape()['dc_sidecar_decisions_total{origin="last_known"}'] == 3
    assert site.server.scrape()["dc_sidecar_outages_total"] == 1
    site.sidecar.start()
    (site.sidecar.document.parent / "sidecar.sock").chmod(0o777)
    eventually(lambda: site.server.scrape()["dc_sidecar_away"] == 0, "the outage ends", within=30)
    summary = "3 runs were decided without it: 3 by the last known routes."
    log = site.server.process.log
    eventually(lambda: summary in log.read_text(), "the log counts them")
    assert "does not answer" in log.read_text()


def test_retry_names_the_version(site: Site) -> None:
    """`powerjob retry` needs an OpenAPI that 4.3.9 does not have, and says so."""
    server = f"http://127.0.0.1:{site.server.http}"
    command = ["powerjob", "retry", "billing", "--server", server, "--since", "10m", "--dry-run"]
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 6, done.stdout
    assert "PowerJob 5.1 or later" in done.stderr


def test_the_home_directory_must_be_named(artifacts: Artifacts, folder: Path) -> None:
    """Without -Duser.home the JVM of such a user has the home "?", where the stock server's logs cannot be written."""
    command = [*AS_NOBODY, "java", "-XshowSettings:properties", "-version"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=folder).stderr
    assert "user.home = ?" in shown
    jar = readable(artifacts.server_4, folder)
    server = [*AS_NOBODY, "java", "-Xmx128m", "-Dspring.profiles.active=product", "-jar", str(jar)]
    died = subprocess.run(server, capture_output=True, text=True, timeout=120, check=False, cwd="/")
    assert died.returncode != 0
    assert "Logback" in died.stdout + died.stderr
