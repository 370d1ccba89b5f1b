"""Demonstrates drill, gray release and the loss of a datacenter with real Celery workers (`make demo-celery`)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.celery.site import CelerySite
from tests.powerjob.demo import say
from tests.servers.process import LOOPBACK, free_port
from tests.servers.redis.server import RedisServer
from tests.waiting import eventually

NAMES = {datacenter: (f"{datacenter}-a", f"{datacenter}-b") for datacenter in ("dc1", "dc2", "dc3")}
TASKS = 40
THREADS = 4
REACTION: dict[str, object] = {"queues": ["work"], "on": ["failover"], "unacked": "true", "watch-for": "0"}


class Demo:
    """A broker, two workers in each of three datacenters, and a sidecar with a page, all on loopback."""

    def __init__(self, site: CelerySite) -> None:
        self._site = site
        self._document = f"file:{site.sidecar.document}"

    def operate(self, *words: str) -> None:
        """Run a command on the document, and wait until the publisher follows."""
        typed = " ".join(f'"{word}"' if " " in word else word for word in words)
        say(f"$ dc-sidecar {typed}")
        flags = ("--source", self._document, "--by", "demo", "--hold-off", "0", "--yes")
        command = [sys.executable, "-m", "sidecar", *words, *flags]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        self._site.wait_until_followed()

    def run(self, what: str) -> None:
        """Publish tasks, and print which workers ran them, by their own records."""
        self.report(what, self._site.ran(self._site.send("shop.note", count=TASKS)))

    def report(self, what: str, where: dict[str, list[str]]) -> None:
        """Print how many tasks each worker ran."""
        count = Counter(name for names in where.values() for name in names)
        say(f"  {what:<34}" + "  ".join(f"{name} {count[name]:>2}" for name in self._site.workers))

    def drill(self) -> None:
        """Treat dc1 as lost; the drill ends by itself."""
        say("\n1. Drill")
        self.run("before the drill")
        self.operate("drill", "start", "dc1", "--for", "5s", "--reason", "Q4 drill")
        self.run("during the drill")
        eventually(lambda: not self._site.sidecar.status().outages, "the drill ends", within=60, every=0.1)
        self._site.wait_until_followed()
        self.run("after its end")

    def gray_release(self) -> None:
        """Move the tasks to dc2 in steps."""
        say("\n2. Gray release")
        for weight in (10, 50, 100):
            self.operate("shift", "billing", f"dc1={100 - weight}", f"dc2={weight}")
            self.run(f"{weight} % in dc2")
        self.operate("switch", "billing", "dc1")
        self.run("switched back")

    def _fill(self) -> list[str]:
        """Publish tasks that wait at a gate until each thread of dc1 has one; return their ids."""
        sent: list[str] = []
        while len(self._site.began(sent)) < THREADS and len(sent) < TASKS:
            sent += self._site.send("shop.gated")
            with suppress(AssertionError):
                eventually(lambda: sent[-1] in self._site.began(sent), "it begins", within=1)  # noqa: B023 - within this turn
        return sent

    def loss(self) -> None:
        """Kill dc1's workers with tasks running and queued, and mark it."""
        say("\n3. Loss of a datacenter")
        site = self._site
        running = self._fill()
        self.report("all threads of dc1 are busy", site.began(running))
        queued = site.send("shop.note", count=TASKS)
        for name in NAMES["dc1"]:
            site.workers[name].kill()
        # What ran there ends elsewhere.
        site.open_gate()
        say(f"  dc1's workers killed; {TASKS} more tasks wait in dc1's queue")
        self.operate("mark", "dc1", "down", "--reason", "no power")
        self.run("new tasks")
        self.report("the waiting ones, moved", site.ran(queued))
        self.report("the interrupted ones, again", site.ran(running, "end"))
        say("\nThe sidecar's audit:")
        eventually(lambda: "rescheduled" in site.history(), "the report", within=30, every=0.5)
        say(site.history().rstrip())


def main() -> None:
    """Run all three; remove all processes and files."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dc-sidecar-demo-") as name:
        folder, page = Path(name), f"{LOOPBACK}:{free_port()}"
        say("Starting Redis, six workers in three datacenters, and the sidecar …")
        with (
            RedisServer(folder) as broker,
            # With threads a worker is one process, which takes a fifth less of the demonstration's CPU time.
            CelerySite(
                folder, broker, None, names=NAMES, share_by="id", reaction=REACTION, http=page, pool="threads"
            ) as site,
        ):
            site.route("default: {active: dc1, backups: [dc2, dc3]}\napps: {billing: dc1}\n")
            say(f"The page: http://{page}")
            demo = Demo(site)
            demo.drill()
            demo.gray_release()
            demo.loss()
    say(f"\nDone in {time.monotonic() - begun:.0f} s; all processes stopped, all files removed.")


if __name__ == "__main__":
    main()
