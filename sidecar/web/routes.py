"""Routes as JSON: what the page draws and what a gateway follows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import msgspec

from sidecar.gil import Yielder
from sidecar.routing.model import Active, Ramp, Route, Split
from sidecar.routing.scalars import SECOND_NS, format_time
from sidecar.routing.schedule import ramp_step
from sidecar.routing.state import ResolvedRoute, State

Json = dict[str, Any]

_KINDS: dict[type, str] = {Active: "active", Split: "split", Ramp: "ramp"}


def shares(resolved: ResolvedRoute) -> dict[str, float]:
    """Return which part of the jobs each datacenter gets now, if all of them have workers; empty where nobody serves.

    The jobs of a datacenter that is out of service spread over the rest of the split by weight; where none is left of
    it, the first backup that is in service takes them all. What work has left after faults comes last.
    """
    weights = {name: weight for name, weight in resolved.weights if weight > 0 and name not in resolved.out}
    staying = {name: weight for name, weight in weights.items() if name not in resolved.failed_over}
    if staying:
        largest = max(staying.values())
        total = sum(weight / largest for weight in staying.values())
        return {name: round(weight / largest / total, 6) for name, weight in staying.items()}
    backups = [name for name in resolved.route.backups if name not in resolved.out]
    order = sorted((*weights, *backups), key=resolved.failed_over.__contains__)
    return {order[0]: 1.0} if order else {}


def route_json(state: State, resolved: ResolvedRoute) -> Json:
    """Return a route as it stands under a State."""
    route = resolved.route
    served = dict.fromkeys((*(name for name, _ in resolved.weights), *route.backups))
    told: Json = {
        "kind": _KINDS.get(type(route.selector), "none"),
        "weights": dict(resolved.weights),
        "backups": route.backups,
        "shares": shares(resolved),
        "unavailable": {name: resolved.out[name] for name in served if name in resolved.out},
        "left": dict(resolved.failed_over),
        "min_workers": route.min_workers,
        "on_empty": route.on_empty.value,
        "sticky": route.sticky.value,
    }
    if isinstance(route.selector, Ramp):
        told["ramp"] = _ramp(route.selector, state.now_ns)
    return told


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
            told = {**route_json(state, resolved), "jobs": len(application.jobs)}
            encoded = shared[key] = msgspec.Raw(msgspec.json.encode(told))
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
    """The encoded routes of the newest State that was asked for; kept for whoever asks next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State | None = None
        self._body = b""

    def body(self, state: State) -> bytes:
        """Return the encoded routes; who asks while another encodes waits for what the other gets. Not for the loop."""
        with self._lock:
            if self._state is not state:
                self._body = all_json(state)
                self._state = state
            return self._body
