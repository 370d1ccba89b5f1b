"""`--status-key` of running sidecars, on every config center."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from sidecar.routing.document import revision_of
from tests.harness import SidecarProcess
from tests.integration.cli.commands import run
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.zookeeper.server import ZooKeeperServer
from tests.waiting import eventually

_numbers = count()


@pytest.fixture(
    params=[
        "file",
        pytest.param("zookeeper", marks=pytest.mark.zookeeper),
        pytest.param("nacos", marks=pytest.mark.nacos),
    ]
)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Return the URLs of a key that nobody has written yet, and of its status."""
    name = f"status-{next(_numbers)}"
    match request.param:
        case "file":
            return f"file:{tmp_path / name}", f"file:{tmp_path / name}.status"
        case "zookeeper":
            zookeeper: ZooKeeperServer = request.getfixturevalue("zookeeper")
            return f"zookeeper://{zookeeper.address}/{name}", f"zookeeper://{zookeeper.address}/{name}.status"
        case _:
            nacos: NacosServer = request.getfixturevalue("nacos")
            return source_url([nacos], name), source_url([nacos], f"{name}.status")


def _lines(url: str) -> list[list[str]]:
    return [line.split(" ", 3)[1:] for line in run("get", "--source", url).stdout.splitlines()]


def test_two_sidecars_write_one_line_for_each_change(urls: tuple[str, str], tmp_path: Path) -> None:
    """Who edits in the console sees that a text was taken over; one sidecar of the fleet writes."""
    url, status = urls
    relaxed = ("--source", url, "--yes", "--hold-off", "0")
    assert run("init", "dc1", "dc2", "--by", "lin", "--reason", "first", *relaxed).returncode == 0
    first = revision_of(run("get", "--source", url).stdout.encode())
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        SidecarProcess(url, "--status-key", folder=folders[0], within=60),
        SidecarProcess(url, "--status-key", folder=folders[1], within=60),
    ):
        accepted = ["accepted", first, "by lin, reason first"]
        eventually(lambda: _lines(status) == [accepted], "the line of the first document", within=60, every=0.5)
        assert run("switch", "--default", "dc2", "--by", "kim", *relaxed).returncode == 0
        second = revision_of(run("get", "--source", url).stdout.encode())
        switched = ["accepted", second, "by kim"]
        eventually(lambda: _lines(status) == [switched, accepted], "the line of the switch", within=60, every=0.5)
