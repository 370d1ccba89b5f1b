"""Servers that all workers of a test session share: the first to ask starts one, the last to finish ends it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.nacos.server import NacosServer

Make = Callable[[Path, int | None], NacosServer]


def session_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of the session have."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@contextmanager
def shared(
    factory: pytest.TempPathFactory,
    name: str,
    make: Make,
    prepare: Callable[[NacosServer], None] = lambda _server: None,
) -> Iterator[NacosServer]:
    """Yield the session's server of this name, which `make` returns for its folder, and for its port once it runs.

    `prepare` is called once, when it has started. Nobody may break it: there is no telling who else uses it.
    """
    folder = session_folder(factory) / f"shared-{name}"
    folder.mkdir(exist_ok=True)
    with _state(folder) as state:
        server = make(folder / "home", state.get("port"))
        if state.get("users"):
            server.adopt(state["pid"])
        else:
            server.start()
            prepare(server)
        state.update(port=server.port, pid=server.pid, users=state.get("users", 0) + 1)
    try:
        yield server
    finally:
        with _state(folder) as state:
            state["users"] -= 1
            if state["users"]:
                server.leave()
            else:
                server.kill()


@contextmanager
def _state(folder: Path) -> Iterator[dict[str, int]]:
    """Yield what the workers know of a server, for one of them at a time; changes are kept."""
    with (folder / "state.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        state: dict[str, int] = json.loads(file.read() or "{}")
        yield state
        file.truncate(0)
        file.write(json.dumps(state))
