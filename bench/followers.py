"""Measures what followers cost: CPU per question, and how soon HAProxy and gRPC clients follow a switch.

    python -m bench.followers [--calls 3000] [--rounds 10]

The sidecar runs on one core, what asks it on the other. Latency is from the rename of a document to the last request
that HAProxy, whose servers are checked one by one, does not send by it, and to the first call that a gRPC client does.
What xDS costs: `python -m bench.xds`.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import psutil

from bench import results
from bench.results import CLIENT_CORE, SERVER_CORE
from tests.harness import SidecarProcess
from tests.integration.followers.test_haproxy import HaProxy
from tests.integration.followers.traffic import Backends, User
from tests.integration.xds.grpc_clients import CLIENTS, Backend, GrpcClient, failures, now_ns
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

TITLE = "Followers"
# Some checks of HAProxy.
_WATCHED_S = 2.0
DOCUMENT = "apps: {shop: {split: {dc1: 90, dc2: 10}}}\ndefault: dc1\n"


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory() as folder:
        questions = results.table(("question", "CPU"), _http(Path(folder), arguments.calls))
        latencies = [*_haproxy(Path(folder), arguments.rounds), *_grpc(Path(folder), arguments.rounds)]
        switches = results.table(("push", "latency"), latencies)
    text = f"{questions}\n\n{switches}"
    print(text)
    results.write(TITLE, "python -m bench.followers", text)


def _http(folder: Path, calls: int) -> list[tuple[str, str]]:
    document = folder / "routing.yaml"
    document.write_text(DOCUMENT)
    port = free_port()
    agent = free_port()
    flags = ("--http", f"{LOOPBACK}:{port}", "--haproxy-agent", f"{LOOPBACK}:{agent}")
    with SidecarProcess(f"file:{document}", *flags, folder=folder) as sidecar:
        psutil.Process(sidecar.pid).cpu_affinity([SERVER_CORE])

        def cost(ask: Callable[[int], None]) -> str:
            for number in range(200):
                ask(number)
            before = sidecar.cpu
            for number in range(calls):
                ask(number)
            return f"{(sidecar.cpu - before) / calls * 1e6:,.0f} µs"

        def kept(path: str) -> str:
            with socket.create_connection((LOOPBACK, port)) as connection:
                return cost(lambda number: _ask(connection, path.format(number)))

        def anew(number: int) -> None:
            with socket.create_connection((LOOPBACK, port)) as one:
                _ask(one, f"/v1/decide?app=shop&key=user-{number}")

        def checked(_number: int) -> None:
            with socket.create_connection((LOOPBACK, agent)) as one:
                one.sendall(b"shop dc1\n")
                while one.recv(64):
                    pass

        rows = [
            ("`/v1/decide`, a connection kept open", kept("/v1/decide?app=shop&key=user-{}")),
            ("`/v1/decide`, a connection for each", cost(anew)),
            ("`/v1/active`, a connection kept open", kept("/v1/active/shop/dc1")),
            ("an agent check of HAProxy", cost(checked)),
        ]
        command = [sys.executable, "-m", "sidecar", "active", "shop", "--datacenter", "dc1"]
        rows.append(("`dc-sidecar active`, its own", _command(command, f"{LOOPBACK}:{port}")))
    return rows


def _ask(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    answer = b""
    # Head and line may come one after the other; the line is the only one that ends in a bare newline.
    while not answer.endswith(b"\n") or answer.endswith(b"\r\n"):
        more = connection.recv(4096)
        if not more:
            raise AssertionError(f"closed after {answer!r}")
        answer += more
    if not answer.startswith(b"HTTP/1.1 200"):
        raise AssertionError(answer)


def _command(command: list[str], address: str, rounds: int = 20) -> str:
    """Return the CPU of a command, with Python's start: the median of its runs."""
    took = []
    for _ in range(rounds):
        process = subprocess.Popen(command, env={**os.environ, "DC_SIDECAR_HTTP": address}, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise AssertionError(f"ended with {process.returncode}")
        took.append(usage.ru_utime + usage.ru_stime)
    return f"{sorted(took)[rounds // 2] * 1000:.0f} ms"


def _haproxy(folder: Path, rounds: int) -> list[tuple[str, str]]:
    """Return the latency of HAProxy, which checks every half second."""
    document = folder / "routing.yaml"
    document.write_text(DOCUMENT)
    agent = f"{LOOPBACK}:{free_port()}"

    def write(text: str) -> None:
        new = document.with_suffix(".new")
        new.write_text(text)
        new.replace(document)

    with (
        Backends(folder) as backends,
        SidecarProcess(f"file:{document}", "--haproxy-agent", agent, folder=folder) as sidecar,
        HaProxy(folder, agent, backends) as haproxy,
    ):
        psutil.Process(sidecar.pid).cpu_affinity([SERVER_CORE])
        moved = [_moved(haproxy.address, write, number) for number in range(rounds)]
    figure = f"median {median(moved) * 1000:.0f} ms, worst {max(moved) * 1000:.0f} ms"
    return [("rename to the last request that HAProxy does not send by it, checks every 500 ms", figure)]


def _moved(listener: str, write: Callable[[str], None], number: int) -> float:
    """Return the seconds from a rename to the last request that the datacenter of before answers."""
    name, other = f"dc{number % 2 + 1}", f"dc{2 - number % 2}"
    user = User(listener)
    # At another moment between two checks each time.
    time.sleep(0.137 * number % 0.5)
    began = last = time.perf_counter()
    write(f"apps: {{shop: {{active: {name}, backups: [{other}]}}}} # {number}")
    while time.perf_counter() < began + _WATCHED_S:
        if user.get("u1").datacenter != name:
            last = time.perf_counter()
    user.close()
    return last - began


def _grpc(folder: Path, rounds: int) -> list[tuple[str, str]]:
    """Return the latency of gRPC clients that call all the time."""
    document, endpoints = folder / "routing.yaml", folder / "endpoints.yaml"
    port = free_port()
    texts = {name: f"apps: {{billing: {name}}}\ndatacenters: [dc1, dc2]\n" for name in ("dc1", "dc2")}
    document.write_text(texts["dc2"])
    took: dict[str, list[float]] = {}
    with ExitStack() as stack:
        backends = {name: stack.enter_context(Backend(name, folder)) for name in texts}
        endpoints.write_text(
            json.dumps({"apps": {"billing": {name: [each.address] for name, each in backends.items()}}})
        )
        flags = ("--listen", f"{LOOPBACK}:{port}", "--xds", "--xds-endpoints", str(endpoints))
        sidecar = stack.enter_context(SidecarProcess(f"file:{document}", *flags, folder=folder))
        psutil.Process(sidecar.pid).cpu_affinity([SERVER_CORE])
        clients = [stack.enter_context(GrpcClient(kind, folder, port)) for kind in CLIENTS]
        for number in range(rounds):
            target = f"dc{number % 2 + 1}"
            new = document.with_suffix(".new")
            new.write_text(f"{texts[target]}# {number}\n")
            renamed = now_ns()
            new.replace(document)
            for client in clients:

                def first(client: GrpcClient = client, since: int = renamed, to: str = target) -> int | None:
                    return next((each.at_ns for each in client.since(since) if each.server == to), None)

                at = eventually(first, "a call to the other datacenter", every=0.1)
                took.setdefault(client.node, []).append(((at or 0) - renamed) / 1e6)
        failed = sum(len(failures(client.calls)) for client in clients)
        calls = sum(len(client.calls) for client in clients)
    rows = [
        (
            f"rename to the first call by it of a client in {kind.title()}",
            f"median {median(ms):.0f} ms, worst {max(ms):.0f} ms",
        )
        for kind, ms in zip(CLIENTS, took.values(), strict=True)
    ]
    return [*rows, (f"… failed of {calls:,} calls of both", str(failed))]


if __name__ == "__main__":
    main()
