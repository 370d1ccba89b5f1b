"""Routes as JSON: what the page draws and what a gateway follows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sidecar.gil import Yielder
from sidecar.routing.model import Active, Ramp, Route, Split
from sidecar.routing.plain import outage_plain, time_plain
from sidecar.routing.scalars import SECOND_NS, format_time
from sidecar.routing.schedule import ramp_step
from sidecar.routing.shares import shares_of
from sidecar.routing.state import ResolvedRoute, State
from sidecar.routing.wording import outage_text

Json = dict[str, Any]

_KINDS: dict[type, str] = {Active: "active", Split: "split", Ramp: "ramp"}


def route_json(state: State, resolved: ResolvedRoute) -> Json:
    """Return a route as it stands under a State."""
    route = resolved.route
    names = dict.fromkeys((*(name for name, _ in resolved.weights), *route.backups))
    out = {name: resolved.out[name] for name in names if name in resolved.out}
    outages = [*out.items(), *resolved.failed_over.items()]
    found: Json = {
        "kind": _KINDS.get(type(route.selector), "none"),
        "weights": dict(resolved.weights),
        "backups": route.backups,
        "shares": {name: round(share, 6) for name, share in shares_of(resolved).by_datacenter},
        "unavailable": {name: outage_text(outage) for name, outage in out.items()},
        "left": {name: outage_text(outage) for name, outage in resolved.failed_over.items()},
        "outages": [{"datacenter": name, **outage_plain(outage)} for name, outage in outages],
        "min_workers": route.min_workers,
        "on_empty": route.on_empty.value,
        "sticky": route.sticky.value,
    }
    if isinstance(route.selector, Ramp):
        found["ramp"] = _ramp(route.selector, state.now_ns)
    return found


def _ramp(ramp: Ramp, now_ns: int) -> Json:
    return {
        "from": ramp.source,
        "to": ramp.target,
        "start": format_time(ramp.start_ns),
        "end": format_time(ramp.start_ns + ramp.duration_ns),
        "duration_s": ramp.duration_ns / SECOND_NS,
        "steps": ramp.steps,
        "step": ramp_step(ramp, now_ns),
    }


def app_json(state: State, app: str) -> Json:
    """Return the route of an application, with those of its jobs; the default's where the document does not name it."""
    application = state.document.apps.get(app)
    jobs = application.jobs if application else {}
    return {
        "app": app,
        "named": application is not None,
        **route_json(state, state.resolve((app,), app, "")),
        "jobs": {job: route_json(state, state.resolve((app,), app, job)) for job in jobs},
        "revision": state.document.revision,
        "generation": state.generation,
        "stale": state.stale,
    }


def workers_json(workers: Mapping[str, int], seen_at_ns: int) -> Json:
    """Return the live workers of an application as its newest request had them; null where there was none."""
    return {"workers": dict(workers) if seen_at_ns else None, "workers_seen_at": time_plain(seen_at_ns)}


def all_json(state: State) -> bytes:
    """Return the encoded routes of all applications; those that share a route share its encoding."""
    checkpoint = Yielder()
    shared: dict[tuple[int, int], msgspec.Raw] = {}
    apps: dict[str, msgspec.Raw] = {}
    for app, application in state.document.apps.items():
        checkpoint()
        resolved = state.resolve((app,), app, "")
        key = id(resolved), len(application.jobs)
        encoded = shared.get(key)
        if encoded is None:
            route = {**route_json(state, resolved), "jobs": len(application.jobs)}
            encoded = shared[key] = msgspec.Raw(msgspec.json.encode(route))
        apps[app] = encoded
    return msgspec.json.encode(
        {
            "revision": state.document.revision,
            "generation": state.generation,
            "stale": state.stale,
            "default": route_json(state, state.resolve(("",), "", "")),
            "apps": apps,
        }
    )


def routes_of(state: State) -> Iterator[tuple[str, Route]]:
    """Yield the default route under the name "", then those of applications that have another one than that."""
    yield "", state.document.default
    for app, application in state.document.apps.items():
        if application.route is not state.document.default:
            yield app, application.route


class EncodedRoutes:
    """Keeps the encoded routes of the newest State that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State | None = None
        self._body = b""

    def body(self, state: State) -> bytes:
        """Return the encoded routes; a caller that comes while another encodes waits for the same. Not for the loop."""
        with self._lock:
            if self._state is not state:
                self._body = all_json(state)
                self._state = state
            return self._body
