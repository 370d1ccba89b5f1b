"""Every fault of a real Nacos, with decisions running all along and none failing; most scenes play at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.nacos import outages, troubles
from tests.servers.nacos.server import NacosServer, authentication
from tests.servers.nacos3.server import Nacos3Server, authentication3

pytestmark = pytest.mark.nacos

Scene = Callable[[Path, NacosServer], None]

# One after the other on a server of their own: a start costs more than all else in a scene.
OUTAGES: dict[str, Scene] = {
    "frozen for 60 s": outages.frozen,
    "killed for 60 s": outages.killed_for_a_minute,
    "one of two dies": outages.one_of_two,
}
# At the same time on a server that nobody breaks.
TROUBLES: dict[str, Scene] = {
    "partitioned": troubles.partitioned,
    "the push falls silent": troubles.push_falls_silent,
    "the key comes and goes": troubles.key_comes_and_goes,
}
SECRETS = "secrets change"
RESTARTS = {
    "killed for 1 s, and for 10 s with another token secret": (NacosServer, authentication),
    "Nacos 3 killed for 1 s, and for 10 s with another token secret": (Nacos3Server, authentication3),
}


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """Begin to play all chosen scenes; most of the time of most of them is waiting."""
    chosen = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    }
    folder = tmp_path_factory.mktemp("scenes")
    playing: dict[str, Future[None]] = {}

    def shared(fixture: str, scenes: dict[str, Scene]) -> None:
        for name in filter(chosen.__contains__, scenes):
            server = request.getfixturevalue(fixture)
            playing[name] = pool.submit(scenes[name], folder / name.replace(" ", "-"), server)

    with ExitStack() as servers, ThreadPoolExecutor() as pool, ThreadPoolExecutor(1) as turns:
        if OUTAGES.keys() & chosen:
            server = NacosServer(folder / "nacos")
            turns.submit(servers.enter_context, server)
            for name in filter(chosen.__contains__, OUTAGES):
                playing[name] = turns.submit(_on_a_running, server, OUTAGES[name], folder / name.replace(" ", "-"))
        for name in filter(chosen.__contains__, RESTARTS):
            path = folder / name.replace(" ", "-").replace(",", "")
            playing[name] = pool.submit(outages.killed_briefly, path, *RESTARTS[name])
        shared("nacos", TROUBLES)
        shared("nacos_with_users", {SECRETS: troubles.secrets_change})
        yield playing


def _on_a_running(server: NacosServer, play: Scene, folder: Path) -> None:
    if server.running:
        server.thaw()  # where the scene before failed
    else:
        server.start()
    play(folder, server)


# The first test waits for scenes with four servers of their own, which a busy machine starts slowly.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [*TROUBLES, SECRETS, *RESTARTS, *OUTAGES])
def test_decisions_go_on_and_the_change_is_in_force(name: str, played: dict[str, Future[None]]) -> None:
    """No call fails; decisions are stale while the server is away; 10 s after it is ready the change is in force."""
    played[name].result()
