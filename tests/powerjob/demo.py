"""Demonstrates drill, gray release and failover with a real PowerJob scheduler (`make demo-powerjob`)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.powerjob.build import build
from tests.powerjob.scheduler import FINISHED, Scheduler, Status
from tests.powerjob.site import Sidecar
from tests.powerjob.worker import Worker
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

DATACENTERS = ("dc1", "dc2", "dc3")
JOBS = 40


class Demo:
    """One scheduler, two workers in each of three datacenters, and a sidecar with a page, all on loopback."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self._artifacts = build()
        listen = f"unix:{folder / 'sidecar.sock'}"
        self.scheduler = Scheduler(
            self._artifacts, folder / "scheduler", database=folder / "database", dc_sidecar__target=listen
        )
        reaction = {
            "name": "reschedule",
            "powerjob": f"http://{LOOPBACK}:{self.scheduler.http}",
            "apps": ["billing"],
            "running": "true",
            "watch-for": "10s",
        }
        self.page = f"{LOOPBACK}:{free_port()}"
        self.sidecar = Sidecar(folder, listen=listen, reactions=[reaction], http=self.page)
        self._document = f"file:{self.sidecar.document}"
        self.workers: dict[str, Worker] = {}
        self.app = 0
        self._jobs: list[int] = []

    def __enter__(self) -> Self:
        say("Starting the scheduler, six workers in three datacenters, and the sidecar …")
        self.sidecar.document.write_text(
            "datacenters: {dc1: {}, dc2: {}, dc3: {}}\ndefault: {active: dc1, backups: [dc2, dc3]}\n"
            "apps: {billing: dc1}\n"
        )
        self.sidecar.start()
        self._stack.callback(self.sidecar.kill)
        self._stack.enter_context(self.scheduler)
        self.app = self.scheduler.register_app("billing")
        for number, name in enumerate(f"{datacenter}-{letter}" for datacenter in DATACENTERS for letter in "ab"):
            worker = Worker(
                name,
                self._artifacts,
                self._folder,
                self.scheduler,
                app=self.app,
                app_name="billing",
                address=f"127.0.{number // 2 + 1}.{number % 2 + 1}",
                environment={"DC_SIDECAR_DATACENTER": name[:3]},
            )
            self.workers[name] = worker
            self._stack.callback(worker.process.kill)
            worker.process.start(wait=False)
        for worker in self.workers.values():
            worker.process.wait_ready()
        self._jobs = [self.scheduler.save_job(self.app, dispatchStrategy="RANDOM") for _ in range(JOBS)]
        self.sidecar.wait_until_followed(self.scheduler)
        say(f"The page: http://{self.page}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def operate(self, *words: str) -> None:
        """Run a command on the document, and wait until the scheduler follows."""
        typed = " ".join(f'"{word}"' if " " in word else word for word in words)
        say(f"$ dc-sidecar {typed}")
        flags = ("--source", self._document, "--by", "demo", "--hold-off", "0", "--yes")
        command = [sys.executable, "-m", "sidecar", *words, *flags]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        self.sidecar.wait_until_followed(self.scheduler)

    def run(self, jobs: list[int]) -> list[int]:
        """Run jobs until they finish."""
        instances = [self.scheduler.run(self.app, job) for job in jobs]
        for instance in instances:
            self.scheduler.wait_for(instance)
        return instances

    def report(self, what: str, instances: list[int], event: str = "begin") -> None:
        """Print which workers ran what, by the workers' own records."""
        runs = (run for worker in self.workers.values() for run in worker.runs() if run.event == event)
        count = Counter(run.worker for run in runs if run.instance in instances)
        say(f"  {what:<34}" + "  ".join(f"{name} {count[name]:>2}" for name in self.workers))

    def drill(self) -> None:
        """Treat dc1 as lost; the drill ends by itself."""
        say("\n1. Drill")
        self.report("before the drill", self.run(self._jobs))
        self.operate("drill", "start", "dc1", "--for", "15s", "--reason", "Q4 drill")
        self.report("during the drill", self.run(self._jobs))
        eventually(lambda: not self.sidecar.status().outages, "the drill ends", within=60, every=0.2)
        self.sidecar.wait_until_followed(self.scheduler)
        self.report("after its end", self.run(self._jobs))

    def gray_release(self) -> None:
        """Move the jobs to dc2 in steps."""
        say("\n2. Gray release")
        for weight in (10, 50, 100):
            self.operate("shift", "billing", f"dc1={100 - weight}", f"dc2={weight}")
            self.report(f"{weight} % in dc2", self.run(self._jobs))
        self.operate("switch", "billing", "dc1")
        self.report("switched back", self.run(self._jobs))

    def loss(self) -> None:
        """Kill dc1's workers while jobs run there, and mark it."""
        say("\n3. Failover")
        slow = [self.scheduler.save_job(self.app, jobParams="4000", dispatchStrategy="RANDOM") for _ in range(6)]
        instances = [self.scheduler.run(self.app, job) for job in slow]
        eventually(lambda: self._begun(instances) == len(instances), "they begin", within=60)
        self.report("six instances started", instances)
        for name in ("dc1-a", "dc1-b"):
            self.workers[name].process.kill()
        say("  dc1's workers killed; PowerJob would notice after a minute")
        self.operate("mark", "dc1", "down", "--reason", "no power")
        for instance in instances:
            eventually(
                lambda: self.scheduler.status(instance) in FINISHED,  # noqa: B023 - within this turn
                "the instances are recovered",
                within=120,
                every=0.2,
            )
        assert all(self.scheduler.status(instance) == Status.SUCCEEDED for instance in instances)
        self.report("they finished", instances, "end")
        self.report("new instances", self.run(self._jobs))
        say("\nThe sidecar's audit:")
        where = ("--state-dir", str(self.sidecar.state_dir))
        eventually(lambda: "rescheduled" in history(*where), "the report", within=60, every=0.5)
        say(history(*where).rstrip())

    def _begun(self, instances: list[int]) -> int:
        begun = {run.instance for worker in self.workers.values() for run in worker.runs()}
        return len(begun.intersection(instances))


def history(*flags: str) -> str:
    """Return the output of `dc-sidecar history`."""
    command = [sys.executable, "-m", "sidecar", "history", *flags]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def say(words: str) -> None:
    """Print and flush."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run all three; remove all processes and files."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dc-sidecar-demo-") as folder, Demo(Path(folder)) as demo:
        demo.drill()
        demo.gray_release()
        demo.loss()
    say(f"\nDone in {time.monotonic() - begun:.0f} s; all processes stopped, all files removed.")


if __name__ == "__main__":
    main()
