"""What the commands learn of live workers from sidecars."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, cast

from sidecar.cli.connection import Connect
from sidecar.cli.sightings import seen_by
from sidecar.client import AppRoute, RoutingClient, SidecarUnreachable


class _Sidecar:
    """A sidecar that was asked about some applications so many seconds ago, with so many workers in dc1."""

    def __init__(self, revision: str = "r1", **apps: tuple[float, int]) -> None:
        self.revision = revision
        self.apps = apps
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert kind is None

    def route(self, app: str) -> AppRoute:
        self.asked += 1
        if "away" in self.apps:
            raise SidecarUnreachable("nobody")
        ago, workers = self.apps.get(app, (0.0, 0))
        at_ms = int((time.time() - ago) * 1000) if workers else 0
        return AppRoute("", (), (), (), 1, self.revision, 1, workers=(("dc1", workers),), workers_seen_at_ms=at_ms)


def _connect(*sidecars: _Sidecar) -> tuple[list[str], Connect]:
    """Return addresses of sidecars, and what connects to them."""
    addresses = [f"127.0.0.1:{port}" for port in range(1, len(sidecars) + 1)]
    by_address = dict(zip(addresses, sidecars, strict=True))
    return addresses, lambda address, _: cast("RoutingClient", by_address[address])


def test_the_newest_of_several_sidecars_counts() -> None:
    """Each scheduler asks a sidecar of its own: what was shown last is what holds, and one that is away is no harm."""
    addresses, connect = _connect(_Sidecar(a=(50, 1), b=(10, 2)), _Sidecar(away=(0, 0)), _Sidecar(a=(20, 3)))
    found = seen_by(addresses, connect, ["a", "b", "c"], "r1")
    assert {app: dict(sighting.counts) for app, sighting in found.items()} == {"a": {"dc1": 3}, "b": {"dc1": 2}}


def test_what_was_seen_long_ago_is_not_told() -> None:
    """After ten minutes nobody knows who is alive."""
    addresses, connect = _connect(_Sidecar(a=(660, 1), b=(540, 1)))
    assert set(seen_by(addresses, connect, ["a", "b"], "r1")) == {"b"}


def test_a_sidecar_of_another_document_is_not_believed() -> None:
    """Whoever serves another revision may be of another key: what it has seen says nothing of this one."""
    addresses, connect = _connect(_Sidecar("r2", a=(1, 9)), _Sidecar(a=(50, 1)))
    found = seen_by(addresses, connect, ["a"], "r1")
    assert {app: dict(sighting.counts) for app, sighting in found.items()} == {"a": {"dc1": 1}}


def test_not_all_of_a_great_many_are_asked_about() -> None:
    """Of thousands of applications, 200 at most are asked about; where nobody answers, one."""
    many, away = _Sidecar(), _Sidecar(away=(0, 0))
    addresses, connect = _connect(many, away)
    seen_by(addresses, connect, [f"app-{number}" for number in range(5000)], "r1")
    assert 0 < many.asked <= 200
    assert away.asked == 1
