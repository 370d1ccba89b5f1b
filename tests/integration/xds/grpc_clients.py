"""gRPC servers of two datacenters, and clients of xds:///billing with the files of docs/followers/grpc.md."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.tools import GRPC_PEER, tool
from tests.integration.followers.pages import blocks
from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port

PAGE = blocks("grpc.md")
TARGET = "xds:///billing"
# The servers by their addresses on the page.
ADDRESSES = {"dc1": "10.1.0.20:8000", "dc1-second": "10.1.0.21:8000", "dc2": "10.2.0.20:8000"}
CLIENTS = ("python", "go")
_EVERY_S = 0.004


class Backend(ServerProcess):
    """A server that answers with its name, at `address`."""

    def __init__(self, name: str, folder: Path) -> None:
        port = free_port()
        self.address = f"{LOOPBACK}:{port}"
        command = [str(tool(GRPC_PEER)), "serve", "-name", name, "-listen", self.address]
        super().__init__(command, ready=lambda: answers(port), log=folder / f"{name}.log")


@dataclass(frozen=True, slots=True)
class Call:
    """When a call ended (Unix nanoseconds), and which server answered; `error` is what came instead."""

    at_ns: int
    server: str
    error: str

    @property
    def datacenter(self) -> str:
        """Where the server is."""
        return self.server.partition("-")[0]


class GrpcClient(ServerProcess):
    """A client that calls all the time, 250 times a second at most; `calls` has all its calls."""

    def __init__(self, kind: str, folder: Path, sidecar: int) -> None:
        self.node = f"orders-{kind}"
        self._bootstrap = bootstrap(folder, self.node, sidecar)
        self._folder, self._kind = folder, kind
        super().__init__(
            command(kind, 0, _EVERY_S),
            ready=lambda: bool(self.calls),
            log=folder / f"{kind}.calls",
            env=self._bootstrap,
        )

    @property
    def calls(self) -> list[Call]:
        """All its calls so far."""
        return parsed(self.log.read_text()) if self.log.exists() else []

    def since(self, at_ns: int) -> list[Call]:
        """Return the calls that ended after a time."""
        return [each for each in self.calls if each.at_ns > at_ns]

    def reaches(self, *servers: str, calls: int = 40) -> bool:
        """Return whether the last so many calls went to these servers, to each of them, and to no other."""
        found = self.calls[-calls:]
        return len(found) == calls and {each.server for each in found} == {*servers}

    def count(self, calls: int) -> list[Call]:
        """Return so many calls of another process, as fast as they can be made."""
        done = subprocess.run(
            command(self._kind, calls, 0.0),
            env={**os.environ, **self._bootstrap},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return parsed(done.stdout)


def command(kind: str, calls: int, every: float) -> list[str]:
    """Return the command of a client."""
    if kind == "python":
        return [sys.executable, str(Path(__file__).with_name("grpc_caller.py")), TARGET, str(calls), str(every)]
    peer = str(tool(GRPC_PEER))
    return [peer, "call", "-target", TARGET, "-calls", str(calls), "-every", f"{every}s"]


def bootstrap(folder: Path, node: str, sidecar: int) -> dict[str, str]:
    """Return the environment of a client with the page's bootstrap file, the sidecar's port and the node replaced."""
    text = PAGE["bootstrap.json"]
    for was, now in (("127.0.0.1:50051", f"{LOOPBACK}:{sidecar}"), ('"orders-1"', f'"{node}"')):
        assert text.count(was) == 1
        text = text.replace(was, now)
    path = folder / f"{node}.json"
    path.write_text(text)
    return {"GRPC_XDS_BOOTSTRAP": str(path)}


def endpoints(backends: dict[str, Backend]) -> str:
    """Return the page's file of endpoints, the addresses replaced by those of these servers."""
    text = PAGE["endpoints.yaml"]
    for name, address in ADDRESSES.items():
        assert text.count(address) == 1
        text = text.replace(address, backends[name].address)
    return text


def parsed(text: str) -> list[Call]:
    """Return the calls of a client's output, without a last line that it is about to write."""
    calls = []
    for line in text[: text.rfind("\n") + 1].splitlines():
        at, _, answer = line.partition(" ")
        if at.isdigit():
            failed = answer.startswith("!")
            calls.append(Call(int(at), "" if failed else answer, answer[1:] if failed else ""))
    return calls


def failures(calls: list[Call]) -> list[str]:
    """Return what failed calls ended with."""
    return [each.error for each in calls if each.error]


def now_ns() -> int:
    """Return the time by the clock that calls have."""
    return time.time_ns()
