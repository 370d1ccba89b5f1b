"""A real cluster of three Nacos with embedded storage, whose members freeze, lag and die."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.nacos.watched import Watched
from tests.servers.nacos.server import GRPC_OFFSET, NacosServer, source_url
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

pytestmark = pytest.mark.nacos

KEY = "routing"
WITHIN = 10.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[NacosServer]]:
    """Run three members, with a leader."""
    ports = [free_port(GRPC_OFFSET, GRPC_OFFSET + 1, -1000) for _ in range(3)]
    settings = {
        "nacos.standalone": "false",
        "embeddedStorage": "true",
        "nacos.member.list": ",".join(f"{LOOPBACK}:{port}" for port in ports),
    }
    members = [NacosServer(tmp_path / str(port), port=port, settings=settings) for port in ports]
    with ExitStack() as stack:
        for member in members:
            member.start(wait=False)
            stack.callback(member.kill)
        with ThreadPoolExecutor(len(members)) as pool:
            list(pool.map(_join, members))
        eventually(lambda: _publishes(members[0], "dc1"), "a leader", within=120, every=0.5)
        yield members


def test_no_member_brings_an_older_text_back(cluster: list[NacosServer]) -> None:
    """A member freezes and thaws with its old text, another one dies: each change is in force everywhere in 10 s."""
    first, second, third = cluster
    orders = ([first, second, third], [second, third, first], [third, first, second])
    with ExitStack() as stack:
        everybody = [stack.enter_context(Watched(source_url(order, KEY))) for order in orders]
        for watched in everybody:
            watched.reaches("dc1")
        first.freeze()
        _change(second, "dc2", everybody)
        first.thaw()
        eventually(first.operator.ready, "the member to be back", within=60)
        _change(first, "dc3", everybody)
        third.kill()
        _change(second, "dc4", everybody)
        third.start(wait=False)
        _join(third)
        _change(third, "dc5", everybody)
        for watched in everybody:
            assert watched.texts() == ["dc1", "dc2", "dc3", "dc4", "dc5"]


def _join(member: NacosServer) -> None:
    """Wait for a member; one that reads its database before there is a leader ends, and is started again."""
    for _ in range(3):
        try:
            member.wait_ready()
        except AssertionError:
            member.start(wait=False)
        else:
            return
    member.wait_ready()


def _change(member: NacosServer, text: str, everybody: list[Watched]) -> None:
    """Publish at a member, which may need a new leader first; from then on 10 s are allowed."""
    eventually(lambda: _publishes(member, text), f"{text} to be published", within=60, every=0.5)
    published = time.monotonic()
    for watched in everybody:
        watched.reaches(text, within=max(published + WITHIN - time.monotonic(), 0.1))


def _publishes(member: NacosServer, text: str) -> bool:
    try:
        member.operator.publish(KEY, text)
    except (AssertionError, OSError):
        return False
    return True
