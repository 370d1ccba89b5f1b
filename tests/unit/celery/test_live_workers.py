"""Live workers: which queues they consume, and how long they count."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.celery.live_workers import LiveWorkers, RecentWorkers, live_workers
from sidecar.celery.queue_names import QueueNames
from sidecar.celery.state_files import StateFiles
from sidecar.client import AppRoute, Outage, OutageKind, RouteUpdate, Worker

NAMES = QueueNames("{queue}.{dc}")
ROUTE = AppRoute("", (("dc1", 1.0),), ("dc2",), (), 1, "r", 3)


def test_a_worker_is_where_the_queues_that_it_consumes_are() -> None:
    """A worker of two datacenters' queues counts in both; one of plain queues only in none."""
    found = live_workers(
        {"a@1": ["work", "work.dc1"], "b@2": ["work.dc1", "work.dc2", "mail.dc2"], "c@3": ["work"]},
        NAMES,
        ["dc1", "dc2"],
    )
    assert found.of("work") == (
        Worker("a@1", datacenter="dc1"),
        Worker("b@2", datacenter="dc1"),
        Worker("b@2#dc2", datacenter="dc2"),
    )
    assert found.counts("work") == {"dc1": 2, "dc2": 1}
    assert found.of("other") == ()
    assert LiveWorkers.NONE.of("work") is None


def test_a_worker_counts_until_it_was_silent_for_long() -> None:
    """One lost reply takes nobody out."""
    recent = RecentWorkers(lost_after=2.5)
    assert recent.note({"a": [{"name": "work.dc1"}], "b": []}, now=0) == {"a": ("work.dc1",), "b": ()}
    assert set(recent.note({"b": []}, now=1)) == {"a", "b"}
    assert set(recent.note(None, now=2)) == {"a", "b"}
    assert set(recent.note({"b": []}, now=3)) == {"b"}


def test_routes_and_workers_are_the_same_after_a_restart(tmp_path: Path) -> None:
    """What one process saves another reads, once for each time it is saved."""
    update = RouteUpdate(
        "r", 3, False, ROUTE, (ROUTE,), ("dc1",), (ROUTE,), (Outage("dc1", "", "marked", OutageKind.MARKED),), True
    )
    StateFiles(tmp_path, "shop/billing").save_routes(update)
    other = StateFiles(tmp_path, "shop/billing")
    assert other.load_routes() == update
    assert other.load_routes() is None
    StateFiles(tmp_path, "shop/billing").save_workers({"a@1": ("work.dc1",)})
    assert other.load_workers() == {"a@1": ["work.dc1"]}


def test_one_process_of_a_host_observes(tmp_path: Path) -> None:
    """The first one holds the lock until it ends."""
    first, second = StateFiles(tmp_path, "billing"), StateFiles(tmp_path, "billing")
    assert first.observes()
    assert first.observes()
    assert not second.observes()
    first.forget_parent()
    assert second.observes()
    second.forget_parent()


def test_files_that_cannot_be_used_are_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Unreadable content and an unusable folder are logged; nothing is raised."""
    folder = tmp_path / "billing"
    folder.mkdir()
    (folder / "routes.json").write_text('{"revision": 7')
    assert StateFiles(tmp_path, "billing").load_routes() is None
    blocked = tmp_path / "file"
    blocked.write_text("")
    files = StateFiles(blocked, "billing")
    files.save_workers({})
    assert files.observes()
    assert files.load_routes() is None
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
