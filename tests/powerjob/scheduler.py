"""A real PowerJob scheduler core with our jar in its plugin folder, driven by its OpenAPI."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.parse
import urllib.request
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self

from tests.servers.process import LOOPBACK, ServerProcess, free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.powerjob.build import Artifacts

PROCESSORS = "io.dcsidecar.powerjob.testworker"
JVM = ("-Xms192m", "-Xmx192m", "-Xmn96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")


class Status(IntEnum):
    """Of an instance, as PowerJob counts."""

    WAITING_DISPATCH = 1
    WAITING_WORKER = 2
    RUNNING = 3
    FAILED = 4
    SUCCEEDED = 5
    CANCELED = 9
    STOPPED = 10


FINISHED = (Status.FAILED, Status.SUCCEEDED, Status.CANCELED, Status.STOPPED)


class Scheduler:
    """One server, started as its own README says: by PropertiesLauncher with the plugin folder as its loader path."""

    # What runs the JVM, such as a command that changes the user.
    _prefix: Sequence[str] = ()

    def __init__(
        self, artifacts: Artifacts, folder: Path, *, database: Path, address: str = LOOPBACK, **settings: str
    ) -> None:
        """Take `settings` as the server's properties, `__` standing for a dot and `_` for a hyphen.

        Servers with the same database are one cluster, in which each needs an address of its own.
        """
        self.http = free_port()
        self.prometheus = free_port()
        self.folder = folder
        plugins = folder / "plugins"
        plugins.mkdir(parents=True)
        (plugins / artifacts.server.name).symlink_to(artifacts.server)
        (folder / "home").mkdir()
        properties = {
            "loader.path": str(plugins),
            "user.home": str(folder / "home"),
            "java.io.tmpdir": str(folder),
            "h2.bindAddress": LOOPBACK,
            "spring.datasource.core.jdbc-url": f"jdbc:h2:file:{database};MODE=MySQL;AUTO_SERVER=TRUE",
            "powerjob.network.local.address": address,
            "server.port": str(self.http),
            "oms.http.port": str(free_port()),
            "dc-sidecar.state-dir": str(folder / "dc-sidecar"),
            "dc-sidecar.metrics": f"{LOOPBACK}:{self.prometheus}",
            **{name.replace("__", ".").replace("_", "-"): value for name, value in settings.items()},
        }
        self.process = ServerProcess(
            [
                *self._prefix,
                "java",
                *JVM,
                *(f"-D{name}={value}" for name, value in properties.items()),
                "-cp",
                str(self._jar(artifacts)),
                "org.springframework.boot.loader.PropertiesLauncher",
            ],
            ready=self._is_ready,
            log=folder / "scheduler.log",
            within=300,
        )

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    def _jar(self, artifacts: Artifacts) -> Path:
        return artifacts.scheduler

    def register_app(self, name: str) -> int:
        return int(self.call("registerApp", appName=name))

    def save_job(self, app: int, processor: str = "SleepJob", **fields: Any) -> int:  # noqa: ANN401 - PowerJob's own fields
        """Make a job that runs when told to, on one worker, unless `fields` say otherwise."""
        job = {
            "appId": app,
            "jobName": processor,
            "timeExpressionType": "API",
            "executeType": "STANDALONE",
            "processorType": "BUILT_IN",
            "processorInfo": f"{PROCESSORS}.{processor}",
            **fields,
        }
        return int(self._post("saveJob", json.dumps(job).encode(), "application/json"))

    def save_workflow(self, app: int, *jobs: int) -> int:
        """Make a workflow that runs these jobs one after the other when told to."""
        steps = [{"appId": app, "type": 1, "jobId": job, "nodeName": f"step {job}"} for job in jobs]
        nodes = [node["id"] for node in self._post("addWorkflowNode", json.dumps(steps).encode(), "application/json")]
        edges = [{"from": one, "to": other} for one, other in itertools.pairwise(nodes)]
        workflow = {
            "appId": app,
            "wfName": "workflow",
            "timeExpressionType": "API",
            "dag": {"nodes": [{"nodeId": node} for node in nodes], "edges": edges},
        }
        return int(self._post("saveWorkflow", json.dumps(workflow).encode(), "application/json"))

    def run(self, app: int, job: int) -> int:
        """Run a job now; return the instance."""
        return int(self.call("runJob", appId=app, jobId=job))

    def status(self, instance: int) -> Status:
        return Status(self.instance(instance)["status"])

    def instance(self, instance: int) -> dict[str, Any]:
        found = self.call("fetchInstanceInfo", instanceId=instance)
        assert isinstance(found, dict)
        return found

    def wait_for(self, instance: int, *wanted: Status, within: float = 150) -> dict[str, Any]:
        """Wait until the instance has one of these statuses, or has finished where none is given.

        Long enough for PowerJob to send once more what it lost, which it notices after a minute.
        """
        statuses = wanted or FINISHED
        wanted_names = "/".join(status.name for status in statuses)
        try:
            eventually(
                lambda: self.status(instance) in statuses,
                f"instance {instance} is {wanted_names}",
                within=within,
                every=0.05,
            )
        except AssertionError as error:
            log = self.process.log.read_text(errors="replace").splitlines()
            lines = [line for line in log if str(instance) in line]
            raise AssertionError("\n".join([str(error), str(self.instance(instance)), *lines])) from None
        return self.instance(instance)

    def workers(self, app: int) -> dict[str, dict[str, Any]]:
        """Return what the server knows of an application's workers, by address."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.http}/server/hello?debug=true", timeout=10) as reply:
            clusters = json.load(reply)["data"]["appId2ClusterInfo"]
        workers = clusters.get(str(app), {}).get("allWorkers", {})
        assert isinstance(workers, dict)
        return workers

    def metric(self, name: str, **tags: str) -> float:
        """Return a figure of the adapter, from the server's actuator."""
        query = urllib.parse.urlencode([("tag", f"{tag}:{value}") for tag, value in tags.items()])
        url = f"http://{LOOPBACK}:{self.http}/actuator/metrics/dc.sidecar.{name}?{query}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return float(json.load(reply)["measurements"][0]["value"])

    def decisions(self) -> dict[str, float]:
        """Return how many decisions there were, by where they came from."""
        origins = ("memory", "sidecar", "last_answer", "last_known", "open", "closed")
        return {origin: self.metric("decisions", origin=origin) for origin in origins}

    def call(self, path: str, **form: object) -> Any:  # noqa: ANN401 - the OpenAPI's answers
        return self._post(path, urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded")

    def _post(self, path: str, body: bytes, content_type: str) -> Any:  # noqa: ANN401 - the OpenAPI's answers
        return self._post_to(f"openApi/{path}", body, content_type)

    def _post_to(self, path: str, body: bytes, content_type: str) -> Any:  # noqa: ANN401 - PowerJob's answers
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.http}/{path}", data=body, headers={"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            result = json.load(reply)
        assert result["success"], f"{path} {body!r}: {result['message']}"
        return result["data"]

    def scrape(self) -> dict[str, float]:
        """Return the adapter's figures as Prometheus reads them, by name and labels."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.prometheus}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        }

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.http}/server/hello", timeout=5) as reply:
                return bool(json.load(reply)["success"])
        except OSError:
            return False
