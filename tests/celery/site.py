"""Three datacenters with real Celery workers, a broker, the sidecar, and an application that publishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from sidecar import client
from tests.celery.shop import APPLICATION, RECORDS, WORKER, make_app
from tests.json_lines import JsonLines
from tests.powerjob.site import Sidecar, Tls
from tests.servers.process import ServerProcess, free_port
from tests.waiting import eventually

NAMES = {"dc1": "dc1-a", "dc2": "dc2-a", "dc3": "dc3-a"}
# Only the queue `later` is moved by itself, so that other tests see what waits in theirs.
REACTION = {"queues": ["later"], "on": ["failover"], "unacked": "true", "watch-for": "0"}
ROOT = Path(__file__).parents[2]


class Broker(Protocol):
    """A broker: a server with a URL."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Run:
    """An event of a task, on a worker."""

    worker: str
    task: str
    event: str
    at: float


class CeleryWorker(ServerProcess):
    """A worker in a datacenter. Its processes are a group, which is killed as a whole: as a host that loses power."""

    def __init__(
        self, name: str, datacenter: str, folder: Path, environment: dict[str, str], *, flags: Iterable[str]
    ) -> None:
        self.name = name
        self.datacenter = datacenter
        command = [sys.executable, "-m", "celery", "-A", "tests.celery.worker_app", "worker", "-n", f"{name}@site"]
        command += ["--loglevel", "INFO", "--without-gossip", "--without-mingle", *flags]
        wrapped = [
            sys.executable,
            "-c",
            "import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])",
            *command,
        ]
        environment = {**environment, WORKER: name, "DC_SIDECAR_DATACENTER": datacenter, "PYTHONPATH": str(ROOT)}
        super().__init__(
            wrapped,
            ready=lambda: " ready." in self.log.read_text(errors="replace"),
            log=folder / f"{name}.log",
            within=120,
            env=environment,
        )

    def start(self, *, wait: bool = True) -> None:
        # An earlier start said that it was ready, too.
        self.log.write_bytes(b"")
        super().start(wait=wait)

    def kill(self) -> None:
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        super().kill()


class CelerySite:
    """Everything, started: a worker in each datacenter, a sidecar, and the publishing `app` with its `routing`."""

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        results: str | None,
        *,
        names: Mapping[str, tuple[str, ...]] | None = None,
        share_by: str = "task",
        reaction: dict[str, object] | None = None,
        http: str = "",
        tls: Tls | None = None,
        pool: str = "prefork",
    ) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self._names = names or {datacenter: (name,) for datacenter, name in NAMES.items()}
        self.broker = broker
        self.listen = f"localhost:{free_port()}" if tls is not None else f"unix:{folder / 'sidecar.sock'}"
        self.ca = tls.ca if tls is not None else None
        secret = folder / "broker-url"
        secret.write_text(broker.url)
        moving = {"name": "move", "celery": str(secret), "app": APPLICATION, "sidecar": self.listen, "timeout": "10s"}
        if self.ca is not None:
            moving["ca"] = str(self.ca)
        reactions = [{**moving, **(reaction or REACTION)}]
        self.sidecar = Sidecar(folder, listen=self.listen, reactions=reactions, http=http, tls=tls)
        self.records = folder / "records"
        self._events: dict[str, JsonLines[Run]] = {}
        self.records.mkdir()
        self.gate = self.records / "gate"
        self.app, self.routing = make_app(
            broker.url,
            results,
            target=self.listen,
            tls=client.Tls(ca=self.ca) if self.ca is not None else None,
            state_dir=folder / "publisher",
            observe_every=1.0,
            timeout=5.0,
            share_by=share_by,
        )
        environment = {"SHOP_BROKER": broker.url, "DC_SIDECAR_TARGET": self.listen, RECORDS: str(self.records)}
        environment["SHOP_STATE"] = str(folder / "workers")
        if self.ca is not None:
            environment["SHOP_CA"] = str(self.ca)
        if results is not None:
            environment["SHOP_RESULTS"] = results
        self.environment = environment
        self.workers = {
            name: CeleryWorker(name, datacenter, folder, environment, flags=("-P", pool, "-c", "2", "-Q", "work,later"))
            for datacenter, here in self._names.items()
            for name in here
        }

    def __enter__(self) -> Self:
        self.sidecar.start()
        self._stack.callback(self.sidecar.kill)
        for worker in self.workers.values():
            worker.start(wait=False)
            self._stack.callback(worker.kill)
        for worker in self.workers.values():
            worker.wait_ready()
        self._stack.callback(self.routing.close)
        self.routing.client()
        self.wait_until_live(*self.workers)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.app.close()

    @property
    def live(self) -> set[str]:
        """The workers that the publisher considers live."""
        return {address.partition("@")[0] for address, _ in self.routing.router.workers.queues.get("work", ())}

    def wait_until_live(self, *names: str) -> None:
        """Wait until these workers, and no others, are live to the publisher."""
        eventually(lambda: self.live == set(names), f"{names} are live", within=60)

    def route(self, text: str) -> None:
        """Put a document in force, and wait until the publisher follows it."""
        self.sidecar.put(text)
        self.wait_until_followed()

    def wait_until_followed(self) -> None:
        """Wait until the publisher has the sidecar's routes."""

        def follows() -> bool:
            client, view = self.routing.client(), self.routing.router.view
            return (
                client is not None
                and view is not None
                and view.epoch == client.epoch
                and view.update.generation == self.sidecar.status().generation
            )

        eventually(follows, "the publisher follows", within=30)

    def send(self, task: str, *args: Any, count: int = 1, **options: Any) -> list[str]:
        """Publish tasks; return their ids."""
        options = {"ignore_result": True, **options}
        return [str(self.app.send_task(task, args, **options).id) for _ in range(count)]

    def runs(self) -> list[Run]:
        """Return all events so far, oldest first."""
        for file in self.records.glob("*.jsonl"):
            self._events.setdefault(file.stem, JsonLines(file, partial(Run, file.stem)))
        return sorted((run for events in self._events.values() for run in events.all()), key=lambda run: run.at)

    def began(self, tasks: Iterable[str], event: str = "begin") -> dict[str, list[str]]:
        """Return the workers where tasks have had an event so far, in order."""
        wanted, where = set(tasks), dict[str, list[str]]()
        for run in self.runs():
            if run.task in wanted and run.event == event:
                where.setdefault(run.task, []).append(run.worker)
        return where

    def ran(self, tasks: Iterable[str], event: str = "begin", *, within: float = 60.0) -> dict[str, list[str]]:
        """Wait until each task has had an event; return the workers where, in order."""
        wanted = set(tasks)

        def complete() -> dict[str, list[str]]:
            where = self.began(wanted, event)
            return where if len(where) == len(wanted) else {}

        return (
            eventually(complete, f"{len(wanted)} tasks had the event {event!r}", within=within, every=0.05)
            if wanted
            else {}
        )

    def places(self, tasks: Iterable[str], event: str = "begin", *, within: float = 60.0) -> Counter[str]:
        """Wait until each task has had an event; return how often each datacenter had it."""
        where = self.ran(tasks, event, within=within)
        return Counter(self.workers[worker].datacenter for workers in where.values() for worker in workers)

    def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        with self.app.connection_for_read() as connection:
            channel = connection.channel()
            self.app.amqp.queues[queue](channel).declare()
            if connection.transport.driver_type == "redis":
                return int(channel._size(queue))
            return int(channel.queue_declare(queue, passive=True).message_count)

    def history(self) -> str:
        """Return the audit, as `dc-sidecar history` prints it."""
        command = [sys.executable, "-m", "sidecar", "history", "--state-dir", str(self.sidecar.state_dir)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def open_gate(self) -> None:
        """Let all gated tasks end."""
        self.gate.touch()

    def close_gate(self) -> None:
        """Let gated tasks wait."""
        self.gate.unlink(missing_ok=True)

    def take(self, *queues: str) -> Counter[str]:
        """Take all messages out of queues; return how often each task was there."""
        found: Counter[str] = Counter()
        with self.app.connection_for_read() as connection:
            for name in queues:
                channel = connection.channel()
                self.app.amqp.queues[name](channel).declare()
                while (message := channel.basic_get(name, no_ack=True)) is not None:
                    found[message.headers["id"]] += 1
        return found

    def decide(self, job: str) -> str:
        """Ask the sidecar itself in which datacenter a job runs, with the live workers."""
        tls = client.Tls(ca=self.ca) if self.ca is not None else None
        with client.RoutingClient(self.listen, tls=tls, cache_size=0, timeout=5) as sidecar:
            candidates = [
                client.Worker(address, datacenter=where)
                for address, where in self.routing.router.workers.queues["work"]
            ]
            return sidecar.filter(APPLICATION, job=job, candidates=candidates).datacenter
