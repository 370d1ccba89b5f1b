"""Measures the time from a switch to the first task elsewhere: `.venv/bin/python adapters/celery/bench/switch.py`.

A publisher sends a task every 5 ms. The clock starts when the document is replaced on disk, and stops when a worker of
the other datacenter begins a task that was published after that, by its own record.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.celery.site import CelerySite
from tests.powerjob.site import DATACENTERS
from tests.servers.redis.server import RedisServer
from tests.waiting import eventually

SWITCHES = 10


def main() -> None:
    """Print the median and the worst."""
    with (
        tempfile.TemporaryDirectory() as name,
        RedisServer(Path(name)) as broker,
        CelerySite(Path(name), broker, None, reaction={"queues": ["none"], "on": ["return"]}) as site,
    ):
        site.route("default: {active: dc1, backups: [dc2]}\n")
        stopping = threading.Event()
        sent: dict[str, float] = {}

        def publish() -> None:
            while not stopping.wait(0.005):
                published = time.time()
                sent[site.send("shop.note")[0]] = published

        thread = threading.Thread(target=publish)
        thread.start()
        took = []
        for switch in range(SWITCHES):
            to, other = ("dc2", "dc1") if switch % 2 == 0 else ("dc1", "dc2")
            fresh = site.sidecar.document.with_suffix(".new")
            fresh.write_text(f"{DATACENTERS}default: {{active: {to}, backups: [{other}]}}\n")
            begun = time.time()
            fresh.replace(site.sidecar.document)
            took.append(eventually(lambda: first(site, sent, to, begun), f"a task in {to}", within=30) - begun)  # noqa: B023
            site.wait_until_followed()
        stopping.set()
        thread.join()
        median, worst = statistics.median(took) * 1e3, max(took) * 1e3
        print(f"switch to first task elsewhere: median {median:.0f} ms, worst {worst:.0f} ms")


def first(site: CelerySite, sent: dict[str, float], datacenter: str, since: float) -> float:
    """Return when a datacenter began the first task that was published since a time, 0 if it did not."""
    since_then = (run for run in site.runs() if sent.get(run.task, 0.0) > since)
    runs = (run for run in since_then if site.workers[run.worker].datacenter == datacenter)
    return next((run.at for run in runs), 0.0)


if __name__ == "__main__":
    main()
