"""Outages of a real Nacos, with decisions running all along and none failing; all scenes play at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.nacos import scenes

pytestmark = pytest.mark.nacos

SCENES: dict[str, Callable[[Path], None]] = {
    "killed for 60 s": scenes.killed_for_a_minute,
    "frozen for 60 s": scenes.frozen,
    "killed for 1 s and for 10 s": scenes.killed_briefly,
    "one of two dies": scenes.one_of_two,
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Begin to play all scenes, each in a thread of its own; most of the time of most of them is waiting."""
    folder = tmp_path_factory.mktemp("scenes")
    with ThreadPoolExecutor(len(SCENES)) as pool:
        yield {name: pool.submit(play, folder / name.replace(" ", "-")) for name, play in SCENES.items()}


@pytest.mark.parametrize("name", SCENES)
def test_decisions_go_on_and_the_change_is_in_force(name: str, played: dict[str, Future[None]]) -> None:
    """No call fails; decisions are stale while the server is away; 10 s after it is ready the change is in force."""
    played[name].result()
