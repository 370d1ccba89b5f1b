"""Scenes of servers that die or freeze and come back; at the end of each the server that was given runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from tests.harness import SidecarProcess
from tests.integration.nacos.stage import caller_of, reaches, scene, sidecar_of
from tests.servers.nacos.server import NacosServer, source_url
from tests.waiting import eventually


def killed_for_a_minute(folder: Path, server: NacosServer) -> None:
    """Kill -9 and a start after 60 s; one sidecar decides, one starts meanwhile, one gets no calls."""
    with scene(folder, server) as stage:
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


def frozen(folder: Path, server: NacosServer) -> None:
    """Freeze the server with its connections for 60 s, and thaw it."""
    with scene(folder, server) as stage:
        stage.publish()
        caller = stage.caller(stage.sidecar())
        stage.server.freeze()
        caller.until(lambda answer: answer.stale, "stale decisions")
        time.sleep(60)
        stage.server.thaw()
        eventually(stage.server.operator.ready, "the server to answer again")
        reaches(caller, stage.publish(), time.monotonic())
        caller.no_failures()


def one_of_two(folder: Path, server: NacosServer) -> None:
    """Of two servers the first freezes, the other serves alone; the first thaws, and the other is killed."""
    with scene(folder, server) as stage:
        first, other = stage.server, stage.another("other")
        stage.publish(first, other)
        caller = stage.caller(stage.sidecar(first, other))
        first.freeze()
        datacenter = stage.publish(other)
        reaches(caller, datacenter, time.monotonic())
        first.thaw()
        # As a member of a cluster would, it returns with what was published meanwhile.
        first.operator.publish(stage.key, datacenter)
        other.kill()
        reaches(caller, stage.publish(first), time.monotonic())
        caller.no_failures()


def killed_briefly(folder: Path, kind: type[NacosServer], authentication: Callable[[], Mapping[str, str]]) -> None:
    """Kill -9 a server with users and start it after 1 s; kill it and start it after 10 s with another token secret.

    The old token is refused then: the sidecar logs in again, long before its end. A Nacos 3 refuses right logins for
    some seconds after its start; the sidecar outlasts that too.
    """
    folder.mkdir()
    key = folder.name
    login = {"DC_SIDECAR_NACOS_USERNAME": "nacos", "DC_SIDECAR_NACOS_PASSWORD": "nacos"}
    with kind(folder / "nacos", settings=authentication()) as server:
        server.operator.create_administrator()
        server.operator.publish(key, "dc1")
        with sidecar_of(source_url([server], key), folder, env=login) as sidecar, caller_of(sidecar) as caller:
            server.kill()
            time.sleep(1)
            server.start()
            ready = time.monotonic()
            server.operator.publish(key, "dc2")
            reaches(caller, "dc2", ready)
            server.kill()
            caller.until(lambda answer: answer.stale, "stale decisions")
            time.sleep(10)
            with kind(folder / "nacos", port=server.port, settings=authentication()) as again:
                ready = time.monotonic()
                again.operator.publish(key, "dc3")
                reaches(caller, "dc3", ready)
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
