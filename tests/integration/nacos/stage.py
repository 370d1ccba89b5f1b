"""What scenes of faults are made of: servers, sidecars that watch them, schedulers that ask without a pause."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness import Caller, SidecarProcess
from tests.servers.nacos.server import NacosServer, source_url

IN_FORCE_WITHIN = 10.0


class Scene:
    """One key of a server, named like the folder, sidecars that watch it, and callers; each change is in force soon."""

    def __init__(self, stack: ExitStack, folder: Path, server: NacosServer) -> None:
        self._stack = stack
        self.folder = folder
        self.key = folder.name
        self.server = server
        self._changes = 0

    def another(self, name: str) -> NacosServer:
        """Start one more server of the same version."""
        return self._stack.enter_context(type(self.server)(self.folder / name))

    def publish(self, *servers: NacosServer) -> str:
        """Change the key everywhere, to dc1 and dc2 by turns; return the datacenter."""
        self._changes += 1
        text = "dc1" if self._changes % 2 else "dc2"
        for server in servers or (self.server,):
            server.operator.publish(self.key, text)
        return text

    def sidecar(self, *servers: NacosServer, name: str = "sidecar", wait: bool = True) -> SidecarProcess:
        """Start a sidecar of this scene's server, or of others."""
        url = source_url(servers or (self.server,), self.key)
        return self._stack.enter_context(sidecar_of(url, self.folder / name, wait=wait))

    def caller(self, sidecar: SidecarProcess) -> Caller:
        """Begin to call."""
        return self._stack.enter_context(caller_of(sidecar))


@contextmanager
def scene(folder: Path, server: NacosServer) -> Iterator[Scene]:
    """Set a scene on a server that runs, and clear it away at the end."""
    folder.mkdir()
    with ExitStack() as stack:
        yield Scene(stack, folder, server)


def sidecar_of(url: str, folder: Path, *, wait: bool = True, env: Mapping[str, str] | None = None) -> SidecarProcess:
    """Return a sidecar that is patient with a loaded machine."""
    folder.mkdir(exist_ok=True)
    return SidecarProcess(url, folder=folder, env=env, wait_for_document=wait, within=60)


def caller_of(sidecar: SidecarProcess) -> Caller:
    """Return a caller with a low rate, as several scenes run at once."""
    return Caller(sidecar.address, every=0.05)


def reaches(caller: Caller, datacenter: str, since: float) -> None:
    """Wait for fresh decisions for this datacenter, until 10 s after `since`."""
    caller.until(
        lambda answer: answer.datacenter == datacenter and not answer.stale,
        f"fresh decisions for {datacenter}",
        within=max(since + IN_FORCE_WITHIN - time.monotonic(), 0.1),
    )
