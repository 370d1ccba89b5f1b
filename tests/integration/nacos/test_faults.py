"""Every fault of a real Nacos, with decisions running all along and none failing; all scenes play at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.integration.nacos import outages, troubles
from tests.servers.nacos.server import NacosServer
from tests.servers.nacos3.server import Nacos3Server, authentication3

pytestmark = pytest.mark.nacos

OUTAGES: dict[str, Callable[[Path], None]] = {
    "killed for 60 s": outages.killed_for_a_minute,
    "frozen for 60 s": outages.frozen,
    "killed for 1 s and for 10 s": outages.killed_briefly,
    "one of two dies": outages.one_of_two,
    "back with another token secret": outages.back_with_another_token_secret,
    "Nacos 3 killed for 1 s and for 10 s": partial(outages.killed_briefly, kind=Nacos3Server),
    "Nacos 3 back with another token secret": partial(
        outages.back_with_another_token_secret, kind=Nacos3Server, authentication=authentication3
    ),
}
TROUBLES: dict[str, Callable[[Path, NacosServer], None]] = {
    "partitioned": troubles.partitioned,
    "the push falls silent": troubles.push_falls_silent,
    "the key comes and goes": troubles.key_comes_and_goes,
}


def _on(server: NacosServer, play: Callable[[Path, NacosServer], None], folder: Path) -> None:
    play(folder, server)


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    nacos: NacosServer,
    nacos_with_users: NacosServer,
) -> Iterator[dict[str, Future[None]]]:
    """Begin to play all chosen scenes, each in a thread of its own; most of the time of most of them is waiting."""
    chosen = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    }
    folder = tmp_path_factory.mktemp("scenes")
    scenes: dict[str, Callable[[Path], None]] = {
        **OUTAGES,
        **{name: partial(_on, nacos, play) for name, play in TROUBLES.items()},
        "secrets change": partial(_on, nacos_with_users, troubles.secrets_change),
    }
    with ThreadPoolExecutor(len(scenes)) as pool:
        yield {
            name: pool.submit(play, folder / name.replace(" ", "-")) for name, play in scenes.items() if name in chosen
        }


# The first test waits for scenes with ten servers in all, which a busy machine starts slowly.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*OUTAGES, *TROUBLES, "secrets change"])
def test_decisions_go_on_and_the_change_is_in_force(name: str, played: dict[str, Future[None]]) -> None:
    """No call fails; decisions are stale while the server is away; 10 s after it is ready the change is in force."""
    played[name].result()
