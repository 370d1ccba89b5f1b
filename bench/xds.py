"""Measures what xDS costs the sidecar: memory and idle CPU without it, with it and with 100 streams, CPU per change.

    python -m bench.xds [--seconds 20] [--changes 20]

The clients are light ones of the tests: a hundred Envoys would measure the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import grpc

from bench import results
from sidecar.xds.kinds import Kind
from tests.harness import SidecarProcess
from tests.integration.xds.test_streams import LightClient
from tests.waiting import eventually

TITLE = "xDS"
STREAMS = 100
_MIB = 2**20


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--changes", type=int, default=20)
    arguments = parser.parse_args()
    rows = []
    for flags in ((), ("--xds",)):
        with tempfile.TemporaryDirectory() as folder:
            document = Path(folder, "routing.yaml")
            document.write_text(_document(0))
            with SidecarProcess(f"file:{document}", *flags, folder=Path(folder)) as sidecar:
                rows.append(_idle(" ".join(flags) or "without --xds", sidecar, arguments.seconds))
                if flags:
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


if __name__ == "__main__":
    main()
