"""Makes a million calls and a thousand document changes to show that the sidecar's memory does not grow.

    python -m bench.soak [--calls 1000000] [--changes 1000]

Prints the time from start to first answer, idle resident memory, and memory before and after each part.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import grpc

from bench.cases import Case, write_frames
from bench.loader import load_generator
from bench.servers import Server
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb

CASE = Case(3, cold=True, apps=1_000)


def document(number: int) -> str:
    """Return a document of a thousand applications, different for each number."""
    apps = "".join(f"  app-{n:05d}: {{active: dc{(n + number) % 3 + 1}, backups: [dc2]}}\n" for n in range(1_000))
    return f"default: dc{number % 3 + 1}\napps:\n{apps}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=1_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routing.yaml"
        path.write_text("dc1")
        began = time.perf_counter()
        with Server.sidecar(path, core=0) as server:
            print(f"start to first answer       {time.perf_counter() - began:6.2f} s")
            time.sleep(2)
            print(f"resident, idle              {server.rss_mib():6.1f} MiB")
            path.write_text(document(0))
            requests = write_frames(Path(folder) / "requests", CASE.requests())
            call(server, requests, 50_000)
            print(f"resident, 50,000 calls      {server.rss_mib():6.1f} MiB")
            call(server, requests, arguments.calls)
            print(f"resident, {arguments.calls:,} more  {server.rss_mib():6.1f} MiB")
            change(server, path, 50)
            print(f"resident, 50 changes        {server.rss_mib():6.1f} MiB")
            change(server, path, arguments.changes)
            print(f"resident, {arguments.changes:,} more      {server.rss_mib():6.1f} MiB")


def call(server: Server, requests: Path, calls: int) -> None:
    """Make a number of calls; none may fail."""
    done = 0
    while done < calls:
        command = [str(load_generator()), "-target", f"127.0.0.1:{server.port}", "-requests", str(requests)]
        report = json.loads(subprocess.run([*command, "-seconds", "10"], check=True, stdout=subprocess.PIPE).stdout)
        if report["failed"]:
            raise RuntimeError(f"calls failed: {report}")
        done += report["calls"]


def change(server: Server, path: Path, changes: int) -> None:
    """Replace the document a number of times, waiting each time until it is in force."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        ask = channel.unary_unary(
            "/dcsidecar.v1.RoutingService/GetStatus",
            request_serializer=pb.GetStatusRequest.SerializeToString,
            response_deserializer=pb.SidecarStatus.FromString,
        )
        for number in range(1, changes + 1):
            before = ask(pb.GetStatusRequest()).generation
            beside = path.with_name(".new")
            beside.write_text(document(number))
            beside.rename(path)
            while ask(pb.GetStatusRequest()).generation == before:
                time.sleep(0.005)


if __name__ == "__main__":
    main()
