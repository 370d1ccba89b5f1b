"""Asks running sidecars how many live workers applications have, within about a second."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sidecar.cli.connection import Connect
from sidecar.cli.fleet import addresses_of
from sidecar.editing.live_workers import LiveWorkers
from sidecar.errors import SidecarError

# Seconds that an answer may take, and after which no more is asked.
PATIENCE = 1.0
_ENOUGH = 0.5
# Nanoseconds after which a sighting says nothing about who is alive.
_LATELY = 600 * 10**9
_NS_PER_MS = 1_000_000
# Applications and sidecars that are asked about and asked: enough to find what is wrong, few enough to be quick.
_APPS = 200
_SIDECARS = 16


def seen_by(named: Iterable[str], connect: Connect, apps: Collection[str], revision: str) -> Mapping[str, LiveWorkers]:
    """Return the newest sighting of each application in the last ten minutes, by any of some sidecars.

    Asks the first 16 of them about the first 200 applications. What does not answer in time has seen nothing, and so
    has what does not serve `revision`: it may be the sidecar of another key. Raises ConfigError for addresses that are
    none.
    """
    addresses = addresses_of(named)[:_SIDECARS]
    asked = [*apps][:_APPS]
    deadline = time.monotonic() + _ENOUGH
    newest: dict[str, LiveWorkers] = {}
    with ThreadPoolExecutor(_SIDECARS) as pool:
        for found in pool.map(lambda address: _seen(address, connect, asked, revision, deadline), addresses):
            for app, sighting in found.items():
                if app not in newest or sighting.at_ns > newest[app].at_ns:
                    newest[app] = sighting
    return newest


def _seen(
    sidecar: tuple[str, str], connect: Connect, apps: Iterable[str], revision: str, deadline: float
) -> dict[str, LiveWorkers]:
    found: dict[str, LiveWorkers] = {}
    oldest = time.time_ns() - _LATELY
    with connect(*sidecar) as client:
        for app in apps:
            if time.monotonic() > deadline:
                break
            try:
                route = client.route(app)
            except SidecarError:
                break
            if route.revision != revision:
                break
            at_ns = route.workers_seen_at_ms * _NS_PER_MS
            if at_ns > oldest:
                found[app] = LiveWorkers(dict(route.workers), at_ns)
    return found
