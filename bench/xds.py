"""Measures what xDS costs the sidecar: memory and idle CPU without it, with it and with 100 streams, CPU per change.

    python -m bench.xds [--seconds 20] [--changes 20]
    python -m bench.xds --real 100

The clients are light ones of the tests; with `--real` so many Envoys, each with one worker (about 4 GiB for 100).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import grpc
import psutil

from bench import results
from sidecar.xds.kinds import Kind
from tests.harness import SidecarProcess
from tests.integration.xds.conftest import Envoy, blocks
from tests.integration.xds.test_streams import LightClient
from tests.integration.xds.upstreams import Load, Upstreams
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

TITLE = "xDS"
TITLE_REAL = "xDS with real Envoys"
ENDPOINTS = "apps: {billing: {dc1: ['10.1.0.20:8000'], dc2: ['10.2.0.20:8000']}}\n"
# Of the Envoys, those that serve requests while the document changes.
_SAMPLED = 4
STREAMS = 100
_MIB = 2**20


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--real", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.real:
        with tempfile.TemporaryDirectory() as folder:
            text = results.table(
                ("Envoys on one sidecar", str(arguments.real)),
                _real(Path(folder), arguments.real, arguments.seconds, arguments.changes),
            )
        print(text)
        results.write(TITLE_REAL, f"python -m bench.xds --real {arguments.real}", text)
        return
    rows = []
    for names in ((), ("--xds",), ("--xds", "--xds-endpoints")):
        with tempfile.TemporaryDirectory() as folder:
            document = Path(folder, "routing.yaml")
            document.write_text(_document(0))
            endpoints = Path(folder, "endpoints.yaml")
            endpoints.write_text(ENDPOINTS)
            flags = (*names, str(endpoints)) if "--xds-endpoints" in names else names
            with SidecarProcess(f"file:{document}", *flags, folder=Path(folder)) as sidecar:
                rows.append(_idle(" ".join(names) or "without --xds", sidecar, arguments.seconds))
                if names == ("--xds",):
                    rows += _streams(sidecar, document, arguments.seconds, arguments.changes)
    text = results.table(("sidecar", "memory", "CPU of a core"), rows)
    print(text)
    results.write(TITLE, "python -m bench.xds", text)


def _document(number: int) -> str:
    return f"datacenters: {{dc1: {{}}, dc2: {{}}}}\ndefault: dc{number % 2 + 1}\n"


def _idle(name: str, sidecar: SidecarProcess, seconds: float) -> tuple[str, str, str]:
    time.sleep(2.0)
    before, began = sidecar.cpu, time.monotonic()
    time.sleep(seconds)
    share = (sidecar.cpu - before) / (time.monotonic() - began)
    return name, f"{sidecar.rss / _MIB:.1f} MiB", f"{100 * share:.2f} %"


def _streams(sidecar: SidecarProcess, document: Path, seconds: float, changes: int) -> list[tuple[str, str, str]]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(sidecar.address, options) for _ in range(STREAMS)]
    clients = [LightClient(channel, f"light-{number}") for number, channel in enumerate(channels)]
    for client in clients:
        client.follow(Kind.RUNTIME, "billing")
    eventually(lambda: all(client.versions for client in clients), "the first responses", within=30)
    idle = _idle(f"--xds, {STREAMS} streams", sidecar, seconds)
    before = sidecar.cpu
    for number in range(1, changes + 1):
        new = document.with_suffix(".new")
        new.write_text(_document(number))
        new.replace(document)
        # The first response and one for each change.
        eventually(lambda least=number + 1: all(len(each.versions) >= least for each in clients), "all have it")  # type: ignore[misc]
    took = (sidecar.cpu - before) / changes
    for client in clients:
        client.close()
    for channel in channels:
        channel.close()
    return [idle, (f"… each change, for all {STREAMS}", f"{sidecar.rss / _MIB:.1f} MiB", f"{1000 * took:.0f} ms")]


def _real(folder: Path, envoys: int, seconds: float, changes: int) -> list[tuple[str, str]]:
    document = folder / "routing.yaml"
    document.write_text(_document(0))
    port, http = free_port(), f"{LOOPBACK}:{free_port()}"
    flags = ("--listen", f"{LOOPBACK}:{port}", "--http", http, "--xds", "--max-streams", str(2 * envoys))
    with ExitStack() as stack:
        upstreams = stack.enter_context(Upstreams("dc1", "dc2"))
        sidecar = stack.enter_context(SidecarProcess(f"file:{document}", *flags, folder=folder, within=60))
        alone = _idle("", sidecar, seconds)
        running = [_envoy(folder, number, port, upstreams) for number in range(envoys)]
        for envoy in running:
            stack.callback(envoy.kill)
        idle = _idle("", sidecar, seconds)
        each = median(psutil.Process(envoy.pid).memory_full_info().uss for envoy in running) / _MIB
        acknowledged: list[float] = []
        routed: list[float] = []
        before = sidecar.cpu
        loads = [stack.enter_context(Load(envoy.port, connections=1, every=0.02)) for envoy in running[:_SAMPLED]]
        for number in range(1, changes + 1):
            replies = [len(load.replies) for load in loads]
            new = document.with_suffix(".new")
            new.write_text(_document(number))
            renamed, renamed_at = time.monotonic(), time.time()
            new.replace(document)

            def times(since: float = renamed_at) -> list[float] | None:
                return _all_acknowledged(http, since, envoys)

            acknowledged += [at - renamed_at for at in eventually(times, "all have it", every=0.5) or ()]
            target = f"dc{number % 2 + 1}"
            routed += [load.first(target, since).at - renamed for load, since in zip(loads, replies, strict=True)]
        cost = (sidecar.cpu - before) / changes
        failed = [failure for load in loads for failure in load.failures()]
        requests = sum(len(load.replies) for load in loads)
        return [
            ("memory of the sidecar, nothing connected", alone[1]),
            ("… with all connected", idle[1]),
            ("… after the changes", f"{sidecar.rss / _MIB:.1f} MiB"),
            ("CPU of a core while nothing changes, nothing connected", alone[2]),
            ("… with all connected", idle[2]),
            ("CPU of a change, for all, with what this benchmark asks", f"{1000 * cost:.0f} ms"),
            ("memory of an Envoy of its own (median)", f"{each:.0f} MiB"),
            (f"rename to its acknowledgement, all Envoys at {changes} changes", _spread(acknowledged)),
            (f"rename to the first request on the new route, {_SAMPLED} of them with load", _spread(routed)),
            (f"failed requests of {requests}", str(len(failed))),
        ]


def _envoy(folder: Path, number: int, sidecar: int, upstreams: Upstreams) -> Envoy:
    """Return an Envoy that runs; its ports may be taken between their choice and its start, so there are some tries."""
    bootstrap = blocks()["envoy-routes.yaml"].replace("id: edge-2", f"id: edge-{number}")
    tries = 5
    while True:
        tries -= 1
        envoy = Envoy(Path(tempfile.mkdtemp(dir=folder)), bootstrap, sidecar=sidecar, upstreams=upstreams)
        try:
            envoy.start()
        except AssertionError:
            if not tries:
                raise
        else:
            return envoy


def _all_acknowledged(http: str, since: float, envoys: int) -> list[float] | None:
    """Return when each Envoy acknowledged what was sent after a time, None while one has not."""
    with urlopen(f"http://{http}/v1/xds") as answer:
        clients = json.load(answer)["clients"]
    found = [each["subscriptions"][0]["acknowledged_at"] for each in clients if each["connected"]]
    times = [datetime.fromisoformat(text).timestamp() for text in found]
    return times if len(times) == envoys and min(times) >= since - 0.001 else None


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[int(len(ordered) * 0.99)]
    return f"median {1000 * median(ordered):.0f} ms, p99 {1000 * p99:.0f} ms, worst {1000 * ordered[-1]:.0f} ms"


if __name__ == "__main__":
    main()
