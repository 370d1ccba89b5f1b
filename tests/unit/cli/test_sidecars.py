"""What commands learn from running sidecars."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import pytest

from sidecar.cli.sidecars import Connect, Endpoint, live_workers, resolve, wait_for_revision
from sidecar.client import AppRoute, CallFailed, RoutingClient, SidecarUnreachable, SourceState, Status
from sidecar.errors import ConfigError, SidecarError


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


def _connect(*sidecars: object) -> tuple[list[Endpoint], Connect]:
    """Return endpoints of sidecars, and what connects to them."""
    endpoints = [Endpoint(f"127.0.0.1:{port}") for port in range(1, len(sidecars) + 1)]
    by_endpoint = dict(zip(endpoints, sidecars, strict=True))
    return endpoints, lambda endpoint, _: cast("RoutingClient", by_endpoint[endpoint])


def test_the_newest_of_several_sidecars_counts() -> None:
    """Each scheduler asks a sidecar of its own: what was shown last is what holds, and one that is away is no harm."""
    endpoints, connect = _connect(_Sidecar(a=(50, 1), b=(10, 2)), _Sidecar(away=(0, 0)), _Sidecar(a=(20, 3)))
    found = live_workers(endpoints, connect, ["a", "b", "c"], "r1")
    assert {app: dict(workers.counts) for app, workers in found.items()} == {"a": {"dc1": 3}, "b": {"dc1": 2}}


def test_what_was_seen_long_ago_is_not_told() -> None:
    """After ten minutes nobody knows who is alive."""
    endpoints, connect = _connect(_Sidecar(a=(660, 1), b=(540, 1)))
    assert set(live_workers(endpoints, connect, ["a", "b"], "r1")) == {"b"}


def test_a_sidecar_of_another_document_is_not_believed() -> None:
    """Whoever serves another revision may be of another key: what it has seen says nothing of this one."""
    endpoints, connect = _connect(_Sidecar("r2", a=(1, 9)), _Sidecar(a=(50, 1)))
    found = live_workers(endpoints, connect, ["a"], "r1")
    assert {app: dict(workers.counts) for app, workers in found.items()} == {"a": {"dc1": 1}}


def test_not_all_of_a_great_many_are_asked_about() -> None:
    """Of thousands of applications, 200 at most are asked about; where nobody answers, one."""
    many, away = _Sidecar(), _Sidecar(away=(0, 0))
    endpoints, connect = _connect(many, away)
    live_workers(endpoints, connect, [f"app-{number}" for number in range(5000)], "r1")
    assert 0 < many.asked <= 200
    assert away.asked == 1


class _Serving:
    """A sidecar that answers each question for its status with the next of these revisions or errors, then the last."""

    def __init__(self, *answers: str | SidecarError) -> None:
        self._answers = [*answers]
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert kind is None

    def status(self) -> Status:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, SidecarError):
            raise answer
        return Status("1", "file:x", SourceState.SYNCED, "", answer, 1, 0, 0, from_snapshot=False)


def test_waiting_ends_as_each_serves_the_revision() -> None:
    """Errors and other revisions on the way are no obstacle, whatever their kind."""
    late = _Serving("r1", SidecarUnreachable("nobody"), CallFailed("INTERNAL: oh"), "r2")
    endpoints, connect = _connect(_Serving("r2"), late)
    reported: list[str] = []
    found = wait_for_revision(endpoints, connect, "r2", 30, lambda one: reported.append(one.address))
    assert [(one.address, one.confirmed, one.said) for one in found] == [
        (endpoint.address, True, "revision r2") for endpoint in endpoints
    ]
    assert reported == [endpoint.address for endpoint in endpoints]
    assert late.asked == 4


def test_at_the_deadline_each_is_reported_with_what_it_said() -> None:
    """One that refuses to answer is missing, as is one that serves another revision."""
    endpoints, connect = _connect(_Serving("r1"), _Serving(CallFailed("PERMISSION_DENIED: no")), _Serving("r2"))
    found = wait_for_revision(endpoints, connect, "r2", 0.01)
    assert [(one.confirmed, one.said) for one in found] == [
        (False, "serves revision r1 of file:x (SYNCED)"),
        (False, "PERMISSION_DENIED: no"),
        (True, "revision r2"),
    ]


def test_a_connection_that_cannot_be_opened_is_not_waited_for() -> None:
    """A certificate that is gone does not come back by waiting; the other sidecars are asked all the same."""
    endpoints, connect = _connect(_Serving("r2"), _Serving("r2"))

    def breaking(endpoint: Endpoint, timeout: float) -> RoutingClient:
        if endpoint == endpoints[0]:
            raise ConfigError("ca.pem: cannot be read")
        return connect(endpoint, timeout)

    found = wait_for_revision(endpoints, breaking, "r2", 600)
    assert [(one.confirmed, one.said) for one in found] == [(False, "ca.pem: cannot be read"), (True, "revision r2")]


def test_waiting_can_be_interrupted() -> None:
    """Ctrl-C ends the questions at once, not at the deadline."""
    endpoints, connect = _connect(_Serving("r2"), _Serving("r1"))

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        wait_for_revision(endpoints, connect, "r2", 600, interrupt)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["127.0.0.1:1", "127.0.0.1:1"], [Endpoint("127.0.0.1:1")]),
        (["localhost:1"], [Endpoint("127.0.0.1:1", "localhost")]),
        (["unix:/run/x", "[::1]:2"], [Endpoint("unix:/run/x"), Endpoint("[::1]:2")]),
    ],
)
def test_names_are_resolved(named: list[str], found: list[Endpoint]) -> None:
    """Each address counts once, and keeps the host's name for its certificate."""
    assert resolve(named) == found


def test_a_file_names_sidecars(tmp_path: Path) -> None:
    """One a line, without comments and blanks."""
    fleet = tmp_path / "fleet"
    fleet.write_text("# ours\n127.0.0.1:1  # first\n\n127.0.0.1:2\n")
    assert resolve([f"@{fleet}"]) == [Endpoint("127.0.0.1:1"), Endpoint("127.0.0.1:2")]


def test_what_names_no_sidecar_is_refused(tmp_path: Path) -> None:
    """An empty file, no file, no address, and a host that has none: each with its name, and what is expected."""
    empty = tmp_path / "empty"
    empty.write_text("# nobody\n")
    for name, message in (
        (f"@{empty}", "names no sidecar, expected one address per line"),
        (f"@{tmp_path}/none", "cannot be read"),
        ("nowhere", "expected host:port"),
        ("nowhere.invalid:1", "cannot be resolved"),
        ("..:1", "cannot be resolved"),
    ):
        with pytest.raises(ConfigError, match=message) as refused:
            resolve([name])
        assert name in str(refused.value)
