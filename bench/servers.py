"""The servers under comparison, each a process pinned to a core, and their resource usage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server process pinned to `core` that listens on loopback `port`; ends with the `with` block."""

    def __init__(self, command: Sequence[str], port: int, *, core: int | str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.pid = self._process.pid

    @classmethod
    def noop(cls, response: Path, *, core: int) -> Server:
        """Return the no-op server."""
        port = free_port()
        return cls([sys.executable, "-m", "bench.noop", str(port), str(response)], port, core=core)

    @classmethod
    def sidecar(cls, document: Path, *flags: str, core: int | str) -> Self:
        """Return a sidecar with a file source."""
        return cls.serving(f"file:{document}", *flags, core=core)

    @classmethod
    def serving(cls, source: str, *flags: str, core: int | str) -> Self:
        """Return a sidecar with any source."""
        port = free_port()
        command = [sys.executable, "-m", "sidecar", "serve", "--source", source]
        return cls([*command, "--listen", f"127.0.0.1:{port}", *flags], port, core=core)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self._process.kill()
                raise RuntimeError(f"the server on port {self.port} did not start")
            time.sleep(0.01)
        return self

    def _answers(self) -> bool:
        """Return whether it answers a decision; a sidecar does once it has a document."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            ask = channel.unary_unary(
                "/dcsidecar.v1.RoutingService/FilterWorkers",
                request_serializer=pb.FilterWorkersRequest.SerializeToString,
                response_deserializer=pb.FilterWorkersResponse.FromString,
            )
            try:
                ask(pb.FilterWorkersRequest(app="any"), timeout=1)
            except grpc.RpcError:
                return False
            return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def cpu_s(self) -> float:
        """Return the CPU time used so far by all live threads, as accounted by the kernel, in seconds."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_mib(self) -> float:
        """Return the resident memory in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
