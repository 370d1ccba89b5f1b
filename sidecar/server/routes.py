"""Routes as they stand now, as GetRoute and WatchRoutes tell them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from sidecar.gil import Yielder
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.state import ResolvedRoute, State

# Updates for different applications that are kept under one State.
_MAX_REMEMBERED = 16
# Told by one status: whoever asks wants to know what is wrong, not all that is wrong.
_MAX_OUTAGES = 1000


def app_route(state: State, app: str = "", job: str = "") -> pb.AppRoute:
    """Return the route of a job of an application; one that the document does not name has the default route.

    `app` of the result is empty where it is the default route. A drill that names the application counts even then.
    """
    named = app in state.document.apps
    return _message(state, state.resolve((app,), app, job), app if named else "")


def _message(state: State, resolved: ResolvedRoute, app: str) -> pb.AppRoute:
    served = dict.fromkeys((*(name for name, _ in resolved.weights), *resolved.route.backups))
    unavailable = {
        name: resolved.out.get(name) or resolved.failed_over[name]
        for name in served
        if name in resolved.out or name in resolved.failed_over
    }
    return pb.AppRoute(
        app=app,
        weights=[pb.WeightedDatacenter(datacenter=name, weight=weight) for name, weight in resolved.weights],
        backups=resolved.route.backups,
        unavailable=unavailable,
        min_workers=resolved.route.min_workers,
        revision=state.document.revision,
        generation=state.generation,
        outages=[pb.AppRoute.Outage(datacenter=name, reason=why) for name, why in unavailable.items()],
    )


def outages(state: State) -> list[pb.AppRoute.Outage]:
    """Return what is out of service, and what applications have failed over from, with the reasons."""
    found = [pb.AppRoute.Outage(datacenter=name, reason=why) for name, why in state.out.items()]
    for drill in state.scoped_drills:
        reason = f"drill: {drill.reason}" if drill.reason else "drill"
        found += [
            pb.AppRoute.Outage(datacenter=drill.datacenter, app=app, reason=reason) for app in sorted(drill.apps or ())
        ]
    for scope, left in state.failed_over.items():
        app = "/".join(filter(None, scope))
        found += [pb.AppRoute.Outage(datacenter=name, app=app, reason=why) for name, why in left.items()]
    return found[:_MAX_OUTAGES]


def route_update(state: State, apps: Iterable[str]) -> bytes:
    """Return the encoded RouteUpdate of a State for the applications watched, none meaning all.

    Those that the document does not name are left out. Applications that share a route share its encoding: a field of a
    message is what its parts are, one after the other.
    """
    parts = [
        pb.RouteUpdate(
            revision=state.document.revision,
            generation=state.generation,
            stale=state.stale,
            default_route=app_route(state),
        ).SerializeToString()
    ]
    named = state.document.apps
    shared: dict[int, bytes] = {}
    checkpoint = Yielder()
    for app in apps or named:
        if app not in named:
            continue
        checkpoint()
        resolved = state.resolve((app,), app, "")
        rest = shared.get(id(resolved))
        if rest is None:
            rest = shared[id(resolved)] = _message(state, resolved, "").SerializeToString()
        route = pb.AppRoute(app=app).SerializeToString() + rest
        parts.append(b"\x2a" + _varint(len(route)) + route)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class RouteUpdateCache:
    """Encodes each update once for all who watch the same applications under the same State."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State | None = None
        self._encoded: dict[tuple[str, ...], bytes] = {}

    def encoded(self, state: State, apps: tuple[str, ...]) -> bytes:
        """Return the encoded RouteUpdate; who asks while another encodes waits for what the other gets."""
        with self._lock:
            if self._state is not state:
                self._state, self._encoded = state, {}
            update = self._encoded.get(apps)
            if update is None:
                if len(self._encoded) >= _MAX_REMEMBERED:
                    self._encoded.clear()
                update = self._encoded[apps] = route_update(state, apps)
            return update
