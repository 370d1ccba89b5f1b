"""Measures what idle sidecars cost one Nacos, and each sidecar.

    python -m bench.nacos_fleet [--sidecars 80] [--seconds 60] [--nacos 3] [-- FLAGS OF THE SIDECARS]

Starts a real server, publishes a key, starts sidecars that watch it, waits until all of them have a push session, and
takes CPU times over a while in which nothing changes. At the end one publish shows how soon all of them have it. HTTP
requests are counted in the server's access log; its CPU time includes its gRPC connections.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median

import psutil

from tests.harness import SidecarProcess
from tests.servers.nacos.server import GRPC_OFFSET, NacosServer, source_url
from tests.servers.nacos3.server import Nacos3Server
from tests.waiting import eventually

_KEY = "fleet"
_ACCESS_LOG = {"server.tomcat.accesslog.enabled": "true", "server.tomcat.accesslog.buffered": "false"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sidecars", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--nacos", choices=("2", "3"), default="3", help="the server's version")
    parser.add_argument("flags", nargs="*", help="flags of the sidecars, behind --")
    options = parser.parse_args()
    kind = Nacos3Server if options.nacos == "3" else NacosServer
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(kind(folder / "nacos", settings=_ACCESS_LOG))
        server.operator.publish(_KEY, "dc1")
        jvm = psutil.Process(server.pid)
        time.sleep(10)  # what it still does after its start is done
        alone, began = _cpu_s(jvm), time.monotonic()
        time.sleep(options.seconds)
        alone = (_cpu_s(jvm) - alone) / (time.monotonic() - began)
        sidecars = []
        for number in range(options.sidecars):
            (folder / str(number)).mkdir()
            sidecar = SidecarProcess(
                source_url([server], _KEY), *options.flags, folder=folder / str(number), within=120
            )
            sidecars.append(stack.enter_context(sidecar))
        eventually(lambda: _sessions(jvm, server) >= options.sidecars, "push everywhere", within=300)
        time.sleep(20)  # after this long without a change, push counts as proved
        broken = sum(each.log_text().count("no push from Nacos") for each in sidecars)
        cpus, used, asked, began = [each.cpu for each in sidecars], _cpu_s(jvm), _requests(folder), time.monotonic()
        time.sleep(options.seconds)
        took = time.monotonic() - began
        rate, load = (_requests(folder) - asked) / took, (_cpu_s(jvm) - used) / took - alone
        each_cpu = mean(sidecar.cpu - before for sidecar, before in zip(sidecars, cpus, strict=True)) / took
        memory = median(sidecar.rss for sidecar in sidecars) / 2**20
        published = time.monotonic()
        server.operator.publish(_KEY, "dc2")
        eventually(lambda: all(each.filter().datacenter == "dc2" for each in sidecars), "dc2", within=60)
        print(f"sidecars      {options.sidecars} for {took:.0f} s, Nacos {options.nacos}, flags {options.flags}")
        print(f"server        {rate:.2f} HTTP requests/s, {load:.2%} of a core, beside the {alone:.2%} of an idle one")
        for fleet in (1000, 5000):
            share = fleet / options.sidecars
            print(f"  for {fleet}    {share * rate:.0f} HTTP requests/s, {share * load:.0%} of a core")
        print(f"each sidecar  {each_cpu:.3%} of a core, {memory:.1f} MiB, lost pushes logged {broken}")
        print(f"a change      in force at all of them after {time.monotonic() - published:.2f} s, asked in turn")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _sessions(jvm: psutil.Process, server: NacosServer) -> int:
    connections = jvm.net_connections("tcp")
    return sum(each.laddr.port == server.port + GRPC_OFFSET and each.status == "ESTABLISHED" for each in connections)


def _requests(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("nacos/**/access_log*"))


if __name__ == "__main__":
    main()
