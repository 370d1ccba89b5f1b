"""Debian's Redis on loopback: one process, started in a second."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port


class RedisServer(ServerProcess):
    """A Redis that keeps each write on disk, so that it has them after `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [installed("redis-server"), "--port", str(self.port), "--bind", LOOPBACK, "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        super().__init__(
            command,
            ready=lambda: answers(self.port, b"PING\r\n", b"+PONG"),
            log=folder / "redis.log",
            within=60,
        )

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"


def installed(program: str) -> str:
    """Return the path of a program of a Debian package; skip the test without it, or fail it in CI."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is not None:
        return path
    missing = f"{program} is not installed: as root, tests/servers/install_packages"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
