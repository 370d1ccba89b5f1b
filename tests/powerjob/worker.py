"""Real PowerJob workers, each a process, which write down what they ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.json_lines import JsonLines
from tests.servers.process import ServerProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.powerjob.build import Artifacts
    from tests.powerjob.scheduler import Scheduler

_PACKAGE = "io.dcsidecar.powerjob.testworker"
_JVM = ("-Xms24m", "-Xmx64m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")


@dataclass(frozen=True, slots=True)
class Run:
    """A line of a worker's own record; `at` is in Unix milliseconds."""

    at: int
    worker: str
    event: str
    task: str
    job: int
    instance: int


def places(runs: Iterable[Run], instances: Sequence[int], event: str) -> list[list[str]]:
    """Return for each instance which workers wrote an event of it, in that order, a worker once for each task.

    PowerJob loses a report now and then on a busy machine, and sends the task again after a minute.
    """
    found: dict[int, dict[tuple[str, str], None]] = {instance: {} for instance in instances}
    for run in sorted(runs, key=lambda run: run.at):
        if run.instance in found and run.event == event:
            found[run.instance][run.worker, run.task] = None
    return [[worker for worker, _ in found[instance]] for instance in instances]


class Worker:
    """One worker at an address of its own; `properties` and `environment` say, in some way, where it is, or do not."""

    def __init__(
        self,
        name: str,
        artifacts: Artifacts,
        folder: Path,
        scheduler: Scheduler,
        *,
        app: int,
        app_name: str,
        address: str,
        main: str = "PlainWorker",
        properties: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        port = free_port()
        self.address = f"{address}:{port}"
        self._record = JsonLines(folder / f"{name}.record", Run)
        server = f"127.0.0.1:{scheduler.http}"
        given = {
            "worker": name,
            "record": str(self._record.path),
            "user.home": str(folder),
            "java.io.tmpdir": str(folder),
            "powerjob.network.local.address": address,
            "app": app_name,
            "servers": server,
            "port": str(port),
            # Seconds between two looks of a worker at its broadcast and MapReduce jobs; 13 by default.
            "powerjob.worker.status-check.normal.period": "1",
            "powerjob.worker.app-name": app_name,
            "powerjob.worker.server-address": server,
            "powerjob.worker.port": str(port),
            "powerjob.worker.protocol": "http",
            "powerjob.worker.store-strategy": "memory",
            **(properties or {}),
        }
        self.process = ServerProcess(
            [
                "java",
                *_JVM,
                *(f"-D{key}={value}" for key, value in given.items()),
                "-cp",
                artifacts.worker_class_path,
                f"{_PACKAGE}.{main}",
            ],
            ready=lambda: self.address in scheduler.workers(app),
            log=folder / f"{name}.log",
            within=300,
            env=environment,
        )

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    def runs(self) -> list[Run]:
        """Return what this worker has written down so far, over all its lives."""
        return self._record.all()
