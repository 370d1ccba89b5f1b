"""Current routes and outages as messages of GetRoute, WatchRoutes and GetStatus."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice

from sidecar.gil import Yielder
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.outage import Fault, FaultKind, Outage, OutageKind, drilled
from sidecar.routing.state import ResolvedRoute, State
from sidecar.routing.wording import outage_text

# Updates for different applications that are kept under one State.
_MAX_REMEMBERED = 16
# In one status: operators need the kinds of trouble, not every route affected.
_MAX_OUTAGES = 1000

_NS_PER_MS = 1_000_000
OUTAGE_KINDS = {
    OutageKind.MARKED: pb.OUTAGE_KIND_MARKED,
    OutageKind.DRILL: pb.OUTAGE_KIND_DRILL,
    OutageKind.UNHEALTHY: pb.OUTAGE_KIND_UNHEALTHY,
    OutageKind.FAILED_OVER: pb.OUTAGE_KIND_FAILED_OVER,
}
FAULT_KINDS = {
    FaultKind.NO_WORKERS: pb.FAULT_KIND_NO_WORKERS,
    FaultKind.TOO_FEW_WORKERS: pb.FAULT_KIND_TOO_FEW_WORKERS,
    FaultKind.PROBES: pb.FAULT_KIND_PROBES,
    FaultKind.OTHER: pb.FAULT_KIND_OTHER,
}

# The tags of RouteUpdate's `routes` and `job_routes`.
_ROUTES = b"\x2a"
_JOB_ROUTES = b"\x3a"


def app_route(state: State, app: str = "", job: str = "") -> pb.AppRoute:
    """Return the route of a job of an application; one that the document does not name has the default route.

    `app` of the result is empty where it is the default route. A drill that names the application counts even then.
    """
    named = app in state.document.apps
    return _message(state, state.resolve((app,), app, job), app if named else "")


def _message(state: State, resolved: ResolvedRoute, app: str) -> pb.AppRoute:
    names = dict.fromkeys((*(name for name, _ in resolved.weights), *resolved.route.backups))
    outages = {name: outage for name in names if (outage := resolved.out.get(name) or resolved.failed_over.get(name))}
    return pb.AppRoute(
        app=app,
        weights=[pb.WeightedDatacenter(datacenter=name, weight=weight) for name, weight in resolved.weights],
        backups=resolved.route.backups,
        unavailable=outages,
        min_workers=resolved.route.min_workers,
        revision=state.document.revision,
        generation=state.generation,
        outages=[_outage(name, outage) for name, outage in outages.items()],
    )


def outages(state: State) -> list[pb.AppRoute.Outage]:
    """Return the outages of a State: for all applications, for those of a drill, and for those that failed over."""
    return list(islice(_outages(state), _MAX_OUTAGES))


def _outages(state: State) -> Iterator[pb.AppRoute.Outage]:
    for name, outage in state.out.items():
        yield _outage(name, outage)
    for drill in state.scoped_drills:
        for name, outage in drilled((drill,)).items():
            for app in sorted(drill.apps or ()):
                yield _outage(name, outage, app)
    for scope, failed_over in state.failed_over.items():
        app = "/".join(filter(None, scope))
        for name, outage in failed_over.items():
            yield _outage(name, outage, app)


def _outage(name: str, outage: Outage, app: str = "") -> pb.AppRoute.Outage:
    return pb.AppRoute.Outage(
        datacenter=name,
        app=app,
        reason=outage_text(outage),
        kind=OUTAGE_KINDS[outage.kind],
        since_ms=outage.since_ns // _NS_PER_MS,
        until_ms=outage.until_ns // _NS_PER_MS,
        drill_reason=outage.reason,
        fault=_fault(outage.fault) if outage.fault else None,
    )


def _fault(fault: Fault) -> pb.Fault:
    return pb.Fault(
        kind=FAULT_KINDS[fault.kind],
        workers=fault.workers,
        needed=fault.needed,
        probes=[pb.ProbeFailure(probe=failure.probe, error=failure.error) for failure in fault.probes],
        since_ms=fault.since_ns // _NS_PER_MS,
        text=fault.text,
    )


def route_update(state: State, apps: Iterable[str], *, detail: bool = False) -> bytes:
    """Return the encoded RouteUpdate of a State for the applications watched, none meaning all.

    `detail` adds the datacenters, the routes of single jobs, and the outages.

    Those that the document does not name are left out. Applications that share a route share its encoding: messages
    that are concatenated are merged when they are read.
    """
    parts = [
        pb.RouteUpdate(
            revision=state.document.revision,
            generation=state.generation,
            stale=state.stale,
            default_route=app_route(state),
        ).SerializeToString()
    ]
    if detail:
        parts.append(_details(state).SerializeToString())
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
        parts.append(_field(_ROUTES, pb.AppRoute(app=app).SerializeToString() + rest))
        for job in named[app].jobs if detail else ():
            checkpoint()
            route = _message(state, state.resolve((app,), app, job), app)
            route.job = job
            parts.append(_field(_JOB_ROUTES, route.SerializeToString()))
    return b"".join(parts)


def _details(state: State) -> pb.RouteUpdate:
    return pb.RouteUpdate(
        datacenters=[
            pb.DatacenterInfo(name=name, cidrs=map(str, datacenter.cidrs))
            for name, datacenter in (state.document.datacenters or {}).items()
        ],
        outages=outages(state),
        detailed=True,
        drained_workers=state.locator.drains.patterns,
    )


def _field(tag: bytes, message: bytes) -> bytes:
    return tag + _varint(len(message)) + message


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class RouteUpdateCache:
    """Encodes each update once for all watchers of the same applications under the same State."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State | None = None
        self._encoded: dict[tuple[bool, tuple[str, ...]], bytes] = {}

    def encoded(self, state: State, apps: tuple[str, ...], *, detail: bool = False) -> bytes:
        """Return the encoded RouteUpdate; a caller that comes while another encodes waits for the same one."""
        with self._lock:
            if self._state is not state:
                self._state, self._encoded = state, {}
            update = self._encoded.get((detail, apps))
            if update is None:
                if len(self._encoded) >= _MAX_REMEMBERED:
                    self._encoded.clear()
                update = self._encoded[detail, apps] = route_update(state, apps, detail=detail)
            return update
