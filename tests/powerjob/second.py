"""A second server of the cluster, with a sidecar, an application and workers of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import trustme

from sidecar.audit.event import EventKind
from sidecar.audit.journal_reader import FOLDER, newest_first
from tests.certificates import Authority
from tests.powerjob.scheduler import Scheduler
from tests.powerjob.site import Sidecar, Tls
from tests.powerjob.worker import Worker, places
from tests.servers.process import LOOPBACK, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.powerjob.build import Artifacts
    from tests.powerjob.site import Site

PASSWORD = "password"
# The adapter watches all routes, so its rule names no applications.
POLICY = """\
callers:
- {name: schedulers, match: "uri:spiffe://example/*", calls: [FilterWorkers, GetStatus, WatchRoutes]}
- {name: operators, match: "dns:operator.example"}
"""


def certified(folder: Path) -> Tls:
    """Return the certificate of a server on localhost, and its authority, written into a folder."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    tls = Tls(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(str(tls.ca))
    issued.cert_chain_pems[0].write_to_path(str(tls.certificate))
    issued.private_key_pem.write_to_path(str(tls.key))
    return tls


def mutual(folder: Path) -> Tls:
    """Return the same with a policy, and with certificates of a scheduler, an operator and a stranger."""
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "policy").write_text(POLICY)
    for name, leaf in (
        ("sidecar", authority.issue(dns=["localhost"])),
        ("scheduler", authority.issue(uris=["spiffe://example/powerjob"])),
        ("operator", authority.issue(dns=["operator.example"])),
        ("stranger", authority.issue(dns=["stranger.example"])),
    ):
        (folder / f"{name}.pem").write_bytes(leaf.pem)
        (folder / f"{name}.key").write_bytes(leaf.key)
    return Tls(folder / "ca.pem", folder / "sidecar.pem", folder / "sidecar.key", folder / "policy")


class Second:
    """It routes by the plain filter, over mutual TLS; its application `reports` has a worker in dc1 and one in dc3.

    `first` is the server that tests drive it by.

    Its sidecar brings back what a switch leaves behind, what runs included, through the OpenAPI that asks for a
    password.
    """

    def __init__(self, site: Site, artifacts: Artifacts, folder: Path) -> None:
        self._stack = ExitStack()
        self._artifacts = artifacts
        self._folder = folder
        self.first = site.scheduler
        self.app = 0
        self.workers: dict[str, Worker] = {}
        tls = mutual(folder)
        self._password = folder / "password"
        self._password.write_text(PASSWORD)
        target = f"localhost:{free_port()}"
        self.scheduler = Scheduler(
            artifacts,
            folder / "scheduler",
            database=site.database,
            address="127.0.0.2",
            dc_sidecar__target=target,
            dc_sidecar__tls__ca=str(tls.ca),
            dc_sidecar__tls__certificate=str(folder / "scheduler.pem"),
            dc_sidecar__tls__key=str(folder / "scheduler.key"),
            dc_sidecar__aspect="false",
            # Where the tests' machine is busy, a job that goes nowhere after 200 ms would look like a wrong route.
            dc_sidecar__timeout="10s",
        )
        self._server = f"http://{LOOPBACK}:{self.scheduler.http}/secured"
        reaction = {
            "name": "reschedule",
            "powerjob": self._server,
            "apps": ["reports"],
            "password-file": str(self._password),
            "running": "true",
            "watch-for": "1s",
        }
        self.sidecar = Sidecar(folder, listen=target, tls=tls, reactions=[reaction])

    def __enter__(self) -> Self:
        self.app = self.first.register_app("reports")
        self.sidecar.start()
        self._stack.callback(self.sidecar.kill)
        self._stack.enter_context(self.scheduler)
        for datacenter, address in (("dc1", "127.0.1.9"), ("dc3", "127.0.3.9")):
            worker = Worker(
                datacenter,
                self._artifacts,
                self._folder,
                self.scheduler,
                app=self.app,
                app_name="reports",
                address=address,
                environment={"DC_SIDECAR_DATACENTER": datacenter},
            )
            self.workers[datacenter] = worker
            self._stack.callback(worker.process.kill)
            worker.process.start(wait=False)
        for worker in self.workers.values():
            worker.process.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def route(self, datacenter: str) -> None:
        """Send the application's work to a datacenter; return when the adapter follows."""
        self.sidecar.put(f"default: dc2\napps: {{reports: {datacenter}}}\n")
        self.sidecar.wait_until_followed(self.scheduler)

    def ran(self, *instances: int, event: str = "begin") -> list[list[str]]:
        """Return which workers began, or ended, each instance, in that order, by their own records; see `places`."""
        return places((run for worker in self.workers.values() for run in worker.runs()), instances, event)

    def workflow(self, run: int) -> dict[str, Any]:
        """Return how a run of a workflow stands."""
        found = self.first.call("fetchWfInstanceInfo", appId=self.app, wfInstanceId=run)
        assert isinstance(found, dict)
        return found

    def steps(self, run: int) -> list[int]:
        """Return the newest run of each step of a workflow's run."""
        return [int(node.get("instanceId") or 0) for node in json.loads(self.workflow(run)["dag"])["nodes"]]

    def report(self) -> str:
        """Return what the audit reports of the work that was brought back last."""
        records = newest_first(self.sidecar.state_dir / FOLDER)
        return next(
            (event.text for record in records for event in record.events if event.kind is EventKind.RESCHEDULED), ""
        )

    def retry(self, *flags: str) -> str:
        """Run the command; return what it prints."""
        command = ["powerjob", "retry", "reports", "--server", self._server, "--since", "10m", *flags]
        done = subprocess.run(
            [sys.executable, "-m", "sidecar", *command, "--password-file", str(self._password)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout.replace("--password-file", "") + done.stderr
        return done.stdout
