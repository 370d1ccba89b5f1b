"""Measures what idle sidecars cost one Nacos, and each sidecar.

    python -m bench.nacos_fleet [--sidecars 80] [--seconds 60] [--nacos 3] [--before CHECKOUT] [--also FLAGS]

Starts a real server, publishes a key, starts sidecars that watch it, waits until all of them have a push session, and
takes CPU times over a while in which nothing changes. One publish shows how soon all of them have it. Then the sidecars
end, and the server's own CPU time is taken over as long a while and subtracted. HTTP requests are counted in the
server's access log; its CPU time includes its gRPC connections.

With --before, the sidecars of an earlier checkout run at the same time, as many, on a server of their own, and with
--also those of this one with other flags: other work on the machine, which inflates CPU times, inflates those of all.

Each server first answers the same number of reads and health checks. A young JVM compiles what it is asked often, so
that a request costs several times what it costs later: a side that asks rarely would stay young for the whole
measurement, and the compiling would count as its cost. A server in production has answered millions. For the same
reason its own CPU time is taken at the end, when it is as old as in the measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import mean, median

import psutil

from sidecar.sources.nacos import sdk
from sidecar.sources.nacos.address import client_address
from sidecar.sources.nacos.api import NacosApi
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.url import parse
from tests.harness import SidecarProcess
from tests.servers.nacos.server import GRPC_OFFSET, NacosServer, source_url
from tests.servers.nacos3.server import Nacos3Server
from tests.waiting import eventually

_KEY = "fleet"
_ACCESS_LOG = {"server.tomcat.accesslog.enabled": "true", "server.tomcat.accesslog.buffered": "false"}
_WARMING = 3000
# After so long without a change a push counts as proved; so long a server takes to forget clients that have gone.
_SETTLED_S = 45.0


class Fleet:
    """Sidecars that watch one key of a server of their own; `checkout` has another version, None for this one."""

    def __init__(
        self, name: str, folder: Path, server: NacosServer, flags: Sequence[str], checkout: str | None
    ) -> None:
        self.name = name
        self.server = server
        self._folder = folder
        self._flags = flags
        # Of -m, Python looks for the module in the working directory first.
        self._env = {"PYTHONPATH": checkout, "PYTHONSAFEPATH": "1"} if checkout else {}
        self._jvm = psutil.Process(server.pid)
        self.sidecars: list[SidecarProcess] = []
        self._marks: tuple[list[float], float, int, float] = [], 0.0, 0, 0.0
        self.each_cpu = self.memory = self.load = self.rate = self.alone = 0.0

    def warm(self) -> None:
        """Let the server answer as many reads and health checks, whatever its sidecars will ask."""
        target, address = parse(source_url([self.server], _KEY)), client_address()
        with closing(NacosApi(target, NacosCredentials({}), None, address)) as api:
            for _ in range(_WARMING):
                api.read(10)
            asyncio.run(_check(api, address))

    def start(self, count: int, stack: ExitStack) -> None:
        """Start the sidecars, and wait until each has a push session."""
        for number in range(count):
            folder = self._folder / str(number)
            folder.mkdir()
            url = source_url([self.server], _KEY)
            sidecar = SidecarProcess(url, *self._flags, folder=folder, env=self._env, within=120)
            self.sidecars.append(stack.enter_context(sidecar))
        eventually(lambda: self._sessions() >= count, "push everywhere", within=300)

    def mark(self) -> None:
        """Begin a measurement."""
        cpus = [each.cpu for each in self.sidecars]
        self._marks = cpus, _cpu_s(self._jvm), self._requests(), time.monotonic()

    def take(self) -> None:
        """End it: with sidecars it is theirs, without them that of the server alone."""
        cpus, used, asked, began = self._marks
        took = time.monotonic() - began
        load = (_cpu_s(self._jvm) - used) / took
        if not self.sidecars:
            self.alone = load
            return
        self.load, self.rate = load, (self._requests() - asked) / took
        self.each_cpu = mean(each.cpu - cpu for each, cpu in zip(self.sidecars, cpus, strict=True)) / took
        self.memory = median(each.rss for each in self.sidecars) / 2**20

    def publish(self) -> float:
        """Publish; return the seconds until all have it, asked in turn."""
        published = time.monotonic()
        self.server.operator.publish(_KEY, "dc2")
        eventually(lambda: all(each.filter().datacenter == "dc2" for each in self.sidecars), "dc2", within=60)
        return time.monotonic() - published

    def lost_pushes(self) -> int:
        """Return how many lost pushes were logged."""
        return sum(each.log_text().count("no push from Nacos") for each in self.sidecars)

    def end(self) -> None:
        """End the sidecars."""
        for sidecar in self.sidecars:
            sidecar.kill()
        self.sidecars = []

    def _sessions(self) -> int:
        connections = self._jvm.net_connections("tcp")
        port = self.server.port + GRPC_OFFSET
        return sum(each.laddr.port == port and each.status == "ESTABLISHED" for each in connections)

    def _requests(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self._folder.glob("nacos/**/access_log*"))


async def _check(api: NacosApi, address: str) -> None:
    session = await sdk.SdkSession.open(
        api.served, NacosCredentials({}), None, address=address, token=lambda: "", changed=lambda: None
    )
    for _ in range(_WARMING):
        await session.answers()
    await session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sidecars", type=int, default=80, help="of each version")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--nacos", choices=("2", "3"), default="3", help="the server's version")
    parser.add_argument("--before", metavar="CHECKOUT", help="a checkout of an earlier version, to compare with")
    parser.add_argument("--also", metavar="FLAGS", help="flags to compare with, as in --also='--nacos-reread 30s'")
    options = parser.parse_args()
    kind = Nacos3Server if options.nacos == "3" else NacosServer
    versions: list[tuple[str, str | None, Sequence[str]]] = [("now", None, ())]
    if options.before:
        versions.append(("before", options.before, ()))
    if options.also:
        versions.append((options.also, None, options.also.split()))
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        fleets: list[Fleet] = []
        for name, checkout, flags in versions:
            folder = Path(temporary, str(len(fleets)))
            folder.mkdir()
            server = stack.enter_context(kind(folder / "nacos", settings=_ACCESS_LOG))
            server.operator.publish(_KEY, "dc1")
            fleets.append(Fleet(name, folder, server, flags, checkout))
        # At the same time, as everything that follows.
        with ThreadPoolExecutor() as pool:
            list(pool.map(Fleet.warm, fleets))
        for fleet in fleets:
            fleet.start(options.sidecars, stack)
        time.sleep(_SETTLED_S)
        _measure(fleets, options.seconds)
        delays = {fleet.name: fleet.publish() for fleet in fleets}
        lost = {fleet.name: fleet.lost_pushes() for fleet in fleets}
        for fleet in fleets:
            fleet.end()
        time.sleep(_SETTLED_S)
        _measure(fleets, options.seconds)
        print(f"{options.sidecars} sidecars for {options.seconds:g} s, Nacos {options.nacos}")
        for fleet in fleets:
            load = fleet.load - fleet.alone
            print(f"{fleet.name}")
            print(
                f"  server        {fleet.rate:.2f} HTTP requests/s, {load:.2%} of a core beside {fleet.alone:.2%} idle"
            )
            for count in (1000, 5000):
                share = count / options.sidecars
                print(f"    for {count}    {share * fleet.rate:.0f} HTTP requests/s, {share * load:.0%} of a core")
            print(f"  each sidecar  {fleet.each_cpu:.3%} of a core, {fleet.memory:.1f} MiB")
            print(f"  a change      in force at all after {delays[fleet.name]:.2f} s; pushes lost {lost[fleet.name]}")
            if fleet is not fleets[0]:
                share = (fleets[0].load - fleets[0].alone) / load
                requests = fleets[0].rate / fleet.rate
                print(f"  now, of this  {requests:.0%} of the requests, {share:.0%} of the server's CPU time")


def _measure(fleets: Sequence[Fleet], seconds: float) -> None:
    for fleet in fleets:
        fleet.mark()
    time.sleep(seconds)
    for fleet in fleets:
        fleet.take()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
