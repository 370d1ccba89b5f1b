"""What befalls a Nacos while a sidecar watches it and a scheduler asks without a pause: one function a scene."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from tests.harness import Caller, SidecarProcess
from tests.servers.nacos.server import NacosServer, source_url
from tests.waiting import eventually

KEY = "routing"
IN_FORCE_WITHIN = 10.0


class Scene:
    """Servers of its own, sidecars that watch them, and callers; every change must be in force soon."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self.folder = folder
        self.server = self.another("nacos")
        self._changes = 0

    def another(self, name: str) -> NacosServer:
        """Start one more server."""
        return self._stack.enter_context(NacosServer(self.folder / name))

    def publish(self, *servers: NacosServer) -> str:
        """Change the key everywhere, to dc1 and dc2 by turns; return the datacenter."""
        self._changes += 1
        text = "dc1" if self._changes % 2 else "dc2"
        for server in servers or (self.server,):
            server.operator.publish(KEY, text)
        return text

    def sidecar(self, url: str = "", name: str = "sidecar", *, wait: bool = True) -> SidecarProcess:
        """Start a sidecar of this scene's server, or of another URL."""
        return self._stack.enter_context(
            sidecar_of(url or source_url([self.server], KEY), self.folder / name, wait=wait)
        )

    def caller(self, sidecar: SidecarProcess) -> Caller:
        """Begin to call."""
        return self._stack.enter_context(caller_of(sidecar))


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Set a scene, and clear it away at the end."""
    folder.mkdir()
    with ExitStack() as stack:
        yield Scene(stack, folder)


def sidecar_of(url: str, folder: Path, *, wait: bool = True, **env: str) -> SidecarProcess:
    """Return a sidecar that is patient with a loaded machine."""
    folder.mkdir(exist_ok=True)
    return SidecarProcess(url, folder=folder, env=env, wait_for_document=wait, within=60)


def caller_of(sidecar: SidecarProcess) -> Caller:
    """Return a calm caller, as several scenes go on at once."""
    return Caller(sidecar.address, every=0.02, within=5)


def reaches(caller: Caller, datacenter: str, since: float) -> None:
    """Wait for fresh decisions for this datacenter, until 10 s after `since`."""
    caller.until(
        lambda answer: answer.datacenter == datacenter and not answer.stale,
        f"fresh decisions for {datacenter}",
        within=max(since + IN_FORCE_WITHIN - time.monotonic(), 0.1),
    )


def killed_for_a_minute(folder: Path) -> None:
    """Kill -9 and start again after 60 s; one sidecar decides, one starts meanwhile, one is asked by nobody."""
    with scene(folder) as stage:
        stage.publish()
        caller = stage.caller(stage.sidecar())
        quiet = stage.sidecar(name="quiet")
        time.sleep(5)
        stage.server.kill()
        caller.until(lambda answer: answer.stale, "stale decisions")
        late = stage.sidecar(name="late", wait=False)
        time.sleep(8)
        before, cpu, began = _size(quiet), quiet.cpu, time.monotonic()
        time.sleep(45)
        busy, after = (quiet.cpu - cpu) / (time.monotonic() - began), _size(quiet)
        stage.server.start()
        ready = time.monotonic()
        datacenter = stage.publish()
        reaches(caller, datacenter, ready)
        eventually(lambda: _decides(late, datacenter), "decisions of the sidecar that started meanwhile")
        caller.no_failures()
        assert busy < 0.02, f"{busy:.1%} CPU"
        assert after.threads <= before.threads, (before, after)
        assert after.files <= before.files + 1, (before, after)
        assert after.memory <= before.memory + (1 << 20), (before, after)
        assert after.memory < 130 << 20, after
        assert after.log <= before.log, quiet.log_text()


def killed_briefly(folder: Path) -> None:
    """Kill -9 and start again after 1 s, and after 10 s."""
    with scene(folder) as stage:
        stage.publish()
        caller = stage.caller(stage.sidecar())
        for seconds in (1, 10):
            stage.server.kill()
            time.sleep(seconds)
            stage.server.start()
            ready = time.monotonic()
            reaches(caller, stage.publish(), ready)
        caller.no_failures()


def frozen(folder: Path) -> None:
    """Stop the server where it stands for 60 s, connections and all, and let it go on."""
    with scene(folder) as stage:
        stage.publish()
        caller = stage.caller(stage.sidecar())
        stage.server.freeze()
        caller.until(lambda answer: answer.stale, "stale decisions")
        time.sleep(60)
        stage.server.thaw()
        eventually(stage.server.operator.ready, "the server to answer again")
        reaches(caller, stage.publish(), time.monotonic())
        caller.no_failures()


def one_of_two(folder: Path) -> None:
    """Two servers: the first freezes, the other goes on alone; the first is back, and the other is killed."""
    with scene(folder) as stage:
        first, other = stage.server, stage.another("other")
        stage.publish(first, other)
        caller = stage.caller(stage.sidecar(source_url([first, other], KEY)))
        first.freeze()
        datacenter = stage.publish(other)
        reaches(caller, datacenter, time.monotonic())
        first.thaw()
        # As a member of a cluster would, it comes back with what was published meanwhile.
        first.operator.publish(KEY, datacenter)
        other.kill()
        reaches(caller, stage.publish(first), time.monotonic())
        caller.no_failures()


@dataclass(frozen=True, slots=True)
class _Size:
    threads: int
    files: int
    memory: int
    log: int


def _size(sidecar: SidecarProcess) -> _Size:
    process = psutil.Process(sidecar.pid)
    return _Size(process.num_threads(), process.num_fds(), sidecar.rss, len(sidecar.log_text()))


def _decides(sidecar: SidecarProcess, datacenter: str) -> bool:
    try:
        return sidecar.filter().datacenter == datacenter
    except grpc.RpcError:
        return False
