"""`watch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from sidecar.client import RouteUpdate, RoutingClient
from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar

_TEXT = "default: {active: dc1, backups: [dc2]}\napps: {billing: dc2}\n"


def test_watch_prints_a_line_for_what_holds_and_each_change(
    run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watch begins with the routes, prints each change of them, and Ctrl-C ends it without a traceback."""
    sidecar.serve(_TEXT)
    watch = RoutingClient.watch

    def two_changes(client: RoutingClient, apps: Sequence[str]) -> Iterator[RouteUpdate]:
        updates = watch(client, apps)
        yield next(updates)
        sidecar.serve("default: {split: {dc1: 3, dc2: 1}}\napps: {billing: dc2}\n")
        yield next(updates)
        sidecar.serve("datacenters: {dc1: {available: false}, dc2: {}}\ndefault: {split: {dc1: 3, dc2: 1}}\n")
        yield next(updates)
        raise KeyboardInterrupt

    monkeypatch.setattr(RoutingClient, "watch", two_changes)
    result = run("watch", "--sidecar", sidecar.address)
    assert result.code == 130
    assert result.err.strip() == ""
    assert [line.split("  ")[1] for line in result.out.splitlines()] == [
        "default: dc1, then dc2",
        "billing: dc2",
        "default: dc1 → dc1 75 %, dc2 25 %; then dc2 → (none)",
        "default: (none) → out of service: dc1",
        "billing: dc2 → dc1 75 %, dc2 25 %; (none) → out of service: dc1",
    ]


def test_watch_reconnects(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sidecar that goes away is reported on stderr, its return too, and the watch continues."""
    sidecar.serve("dc1")
    watch = RoutingClient.watch
    streams = 0

    def broken_once(client: RoutingClient, apps: Sequence[str]) -> Iterator[RouteUpdate]:
        nonlocal streams
        streams += 1
        updates = watch(client, apps)
        yield next(updates)
        if streams == 2:
            raise KeyboardInterrupt
        sidecar.end()
        try:
            next(updates)
        finally:
            sidecar.begin()
            sidecar.serve("dc2")

    monkeypatch.setattr(RoutingClient, "watch", broken_once)
    result = run("watch", "--sidecar", sidecar.address)
    assert result.code == 130
    assert "the sidecar is shutting down; reconnecting" in result.err
    assert "reconnected" in result.err
    assert result.out.splitlines()[-1].split("  ")[1] == "default: dc1 → dc2"
