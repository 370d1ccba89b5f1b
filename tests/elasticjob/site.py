"""Three datacenters with real ElasticJob instances, the sidecar, and the registry center that they share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from tests.json_lines import JsonLines
from tests.powerjob.build import ADAPTERS, CLIENT, PROTOS, built, keep, package
from tests.powerjob.site import Sidecar
from tests.servers.process import ServerProcess
from tests.waiting import eventually

NAMESPACE = "billing"
NAMES = {"dc1": ("dc1-a",), "dc2": ("dc2-a", "dc2-b"), "dc3": ("dc3-a",)}
# A job with running shards that ElasticJob waits for, one with enough shards for a split, one without a reaction.
JOBS = {"settle": (6, 1), "report": (60, 2), "manual": (4, 1)}
DC1 = "default: {active: dc1, backups: [dc2, dc3]}\n"
_KEPT = {"test-job.jar": "test-job/target/test-job.jar", "lib": "test-job/target/lib"}
_JVM = ("-Xms16m", "-Xmx48m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")


def build() -> str:
    """Return the class path of the instances, with our jar for class paths in it; its unit tests passed."""
    folder = built("elasticjob", (*CLIENT, ADAPTERS / "elasticjob", PROTOS), ("java", "mvn"), _build)
    return f"{folder / 'test-job.jar'}{os.pathsep}{folder / 'lib'}/*"


def _build(fresh: Path) -> None:
    keep(package(fresh, "dc-sidecar-elasticjob-test-job") / "elasticjob", fresh, _KEPT)


@dataclass(frozen=True, slots=True)
class Run:
    """A line of an instance's own record; `at` is in Unix milliseconds."""

    at: int
    worker: str
    event: str
    job: str
    item: int


class Instance(ServerProcess):
    """A process with an instance of each job; it is ready when it has registered them."""

    def __init__(self, name: str, class_path: str, folder: Path, zookeeper: str, target: str) -> None:
        self.name = name
        self.datacenter = name[:3]
        self._record = JsonLines(folder / f"{name}.record", Run)
        properties = {
            "worker": name,
            "record": str(self._record.path),
            "zookeeper": zookeeper,
            "namespace": NAMESPACE,
            "jobs": ",".join(f"{job}:{shards}:{seconds}" for job, (shards, seconds) in JOBS.items()),
            "user.home": str(folder),
            "java.io.tmpdir": str(folder),
            "dc-sidecar.target": target,
            # On a busy machine a sharding that goes anywhere after 200 ms would look like a wrong route.
            "dc-sidecar.timeout": "10s",
        }
        self._starts = 0
        super().__init__(
            [
                "java",
                *_JVM,
                *(f"-D{key}={value}" for key, value in properties.items()),
                "-cp",
                class_path,
                "io.dcsidecar.elasticjob.testjob.TestJobs",
            ],
            ready=lambda: sum(run.event == "start" for run in self.runs()) >= self._starts,
            log=folder / f"{name}.log",
            within=120,
            env={"DC_SIDECAR_DATACENTER": self.datacenter},
        )

    def start(self, *, wait: bool = True) -> None:
        self._starts += 1
        super().start(wait=wait)

    def runs(self) -> list[Run]:
        """Return what this instance has written down so far, over all its lives."""
        return self._record.all()


class ElasticSite:
    """Everything, started: instances in three datacenters, and a sidecar with an `elasticjob` reaction."""

    def __init__(self, class_path: str, folder: Path, zookeeper: str) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self.zookeeper = zookeeper
        self.registry = f"zookeeper://{zookeeper}/{NAMESPACE}"
        self.listen = f"unix:{folder / 'sidecar.sock'}"
        reaction = {"name": "reshard", "elasticjob": self.registry, "jobs": ["settle", "report"], "watch-for": "20s"}
        self.sidecar = Sidecar(folder, listen=self.listen, reactions=[reaction])
        self.instances = {
            name: Instance(name, class_path, folder, zookeeper, self.listen)
            for names in NAMES.values()
            for name in names
        }
        self.client = KazooClient(zookeeper)

    def __enter__(self) -> Self:
        self.client.start(timeout=30)
        self._stack.callback(self.client.close)
        self._stack.callback(self.client.stop)
        self.sidecar.start()
        self._stack.callback(self.sidecar.kill)
        for instance in self.instances.values():
            instance.start(wait=False)
            self._stack.callback(instance.kill)
        for instance in self.instances.values():
            instance.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def node(self, path: str) -> str:
        """Return the data of a node of the namespace, "" for none."""
        try:
            return bytes(self.client.get(f"/{NAMESPACE}/{path}")[0]).decode()
        except NoNodeError:
            return ""

    def running(self, job: str) -> int:
        """Return how many shards of a job run, by ElasticJob's own marks."""
        shards, _ = JOBS[job]
        return sum(
            self.client.exists(f"/{NAMESPACE}/{job}/sharding/{item}/running") is not None for item in range(shards)
        )

    def assigned(self, job: str) -> list[str]:
        """Return the datacenter of each shard of a job, by what its instances registered; "" for none."""
        labels = {
            identity: self.node(f"{job}/instances/{identity}")
            for identity in self.client.get_children(f"/{NAMESPACE}/{job}/instances")
        }
        where = {identity: next((dc for dc in NAMES if f'"{dc}"' in text), "?") for identity, text in labels.items()}
        shards, _ = JOBS[job]
        return [where.get(self.node(f"{job}/sharding/{item}/instance"), "") for item in range(shards)]

    def wait_until_assigned(self, job: str, expected: list[str], *, within: float = 40.0) -> None:
        """Wait until each shard of a job is in its datacenter."""
        try:
            eventually(
                lambda: self.assigned(job) == expected,
                f"{job} is sharded as {Counter(expected)}",
                within=within,
                every=0.1,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {Counter(self.assigned(job))}") from None

    def all_in(self, datacenter: str, job: str = "settle", *, within: float = 40.0) -> None:
        """Wait until all shards of a job are in one datacenter."""
        self.wait_until_assigned(job, [datacenter] * JOBS[job][0], within=within)

    def runs(self, job: str = "settle", event: str = "begin") -> list[Run]:
        """Return the events of a job so far, oldest first."""
        found = (run for instance in self.instances.values() for run in instance.runs())
        return sorted((run for run in found if run.job == job and run.event == event), key=lambda run: run.at)

    def first_elsewhere(self, datacenter: str, since_ms: float, job: str = "settle") -> float:
        """Wait for the first shard that begins in a datacenter after a time; return after how many seconds it did."""

        def first() -> float:
            return next(
                (
                    (run.at - since_ms) / 1000
                    for run in self.runs(job)
                    if run.at >= since_ms and self.instances[run.worker].datacenter == datacenter
                ),
                0.0,
            )

        return eventually(first, f"a shard of {job} begins in {datacenter}", within=40, every=0.05)

    def hold(self, job: str) -> None:
        """Make the shards of a job that begin from now on wait."""
        (self._folder / f"hold-{job}").touch()

    def release(self, job: str) -> None:
        """Let the shards of a job end."""
        (self._folder / f"hold-{job}").unlink(missing_ok=True)

    def reshard(self, *flags: str) -> str:
        """Run the command; return what it prints."""
        command = [sys.executable, "-m", "sidecar", "elasticjob", "reshard", "--registry", self.registry]
        done = subprocess.run(
            [*command, "--sidecar", self.listen, "--timeout", "10s", *flags],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def history(self) -> str:
        """Return the audit, as `dc-sidecar history` prints it."""
        command = [sys.executable, "-m", "sidecar", "history", "--state-dir", str(self.sidecar.state_dir)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
