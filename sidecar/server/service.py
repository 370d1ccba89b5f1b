"""The calls of RoutingService on a routing table, each from the bytes of a request to the bytes of its response."""

from __future__ import annotations

from collections.abc import Callable

from sidecar import __version__
from sidecar.counters import LabeledCounters
from sidecar.lifecycle import SourceStatus
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.state import State
from sidecar.server import requests
from sidecar.server.decisions import DecisionHandler
from sidecar.server.memory_pressure import NO_PRESSURE, MemoryPressure
from sidecar.server.routes import RouteUpdateCache, app_route, outages
from sidecar.server.settings import ServerSettings
from sidecar.server.watch_streams import NextUpdate
from sidecar.table import ViewProvider
from sidecar.trust.callers import Permit
from sidecar.view import View
from sidecar.wording import not_serving, view_text

SERVICE = pb.DESCRIPTOR.services_by_name["RoutingService"].full_name

_NS_PER_MS = 1_000_000
# Routes that are kept encoded under one State.
_MAX_ROUTES = 256


class RoutingService:
    """Answers the calls of RoutingService; `source` is the source's URL without credentials, `decisions` counts them.

    Every method raises BadRequest, naming the field, for a request that breaks a bound.
    """

    def __init__(
        self,
        table: ViewProvider,
        settings: ServerSettings,
        source: str,
        decisions: LabeledCounters,
        pressure: MemoryPressure = NO_PRESSURE,
    ) -> None:
        self._table = table
        self._source = source
        self._environment = settings.environment or ""
        self._updates = RouteUpdateCache()
        # What was last built, with what it was built from: built once for each, not for each call.
        self._status: tuple[View | None, bytes] = None, b""
        self._routes: tuple[State | None, dict[tuple[str, str], bytes]] = None, {}
        # Answers FilterWorkers, and each request of a FilterWorkersStream.
        answers = DecisionHandler(
            table,
            max_candidates=settings.max_candidates,
            memo_entries=settings.memo_entries,
            memo_bytes=settings.memo_bytes,
            counted=decisions,
            pressure=pressure,
        )
        self.filter_workers = answers.answer
        self.live_workers = answers.live_workers
        self._app_names = answers.app_names

    @property
    def ready(self) -> bool:
        """True while there is a document to decide by that is not older than --max-stale allows."""
        return self._table.view.ready

    def get_route(self, request: bytes, permit: Permit | None = None) -> bytes:
        """Answer GetRoute, with the application's workers and names as of its last request.

        Raises NotServing while there is no document.
        """
        view = self._table.view
        if view.state is None:
            raise not_serving(view)
        asked = requests.read(pb.GetRouteRequest, request)
        requests.check_name("app", asked.app)
        requests.check_name("job", asked.job)
        if permit is not None:
            permit.check_apps((asked.app,))
        found = self._route(view.state, asked.app, asked.job)
        # Messages that are concatenated are merged when they are read.
        route = pb.AppRoute()
        names = self._app_names.find(asked.app)
        if names:
            route.dispatch_app = names[0]
            route.dispatch_aliases.extend(names[1:])
        seen = self.live_workers.seen(view.state.application(names) if names else asked.app)
        if seen is not None:
            fewest = seen.fewest
            route.workers.extend(
                pb.AppRoute.Workers(datacenter=name, count=count, fewest=fewest.get(name, 0))
                for name, count in seen.newest.items()
            )
            route.workers_seen_at_ms = seen.at_ns // _NS_PER_MS
            route.workers_runs = seen.runs
        return found + requests.encoded(route)

    def _route(self, state: State, app: str, job: str) -> bytes:
        built_for, routes = self._routes
        if built_for is not state or len(routes) >= _MAX_ROUTES:
            routes = {}
            self._routes = state, routes
        found = routes.get((app, job))
        if found is None:
            found = routes[app, job] = requests.encoded(app_route(state, app, job))
        return found

    def get_status(self, request: bytes, permit: Permit | None = None) -> bytes:  # noqa: ARG002 - it is about no application
        """Answer GetStatus, also while there is no document: then revision, generation and times are empty."""
        requests.read(pb.GetStatusRequest, request)
        view = self._table.view
        built_from, built = self._status
        if built_from is not view:
            built = self._built_status(view)
            self._status = view, built
        return built

    def _built_status(self, view: View) -> bytes:
        status = view.status
        return requests.encoded(
            pb.SidecarStatus(
                version=__version__,
                source=self._source,
                source_state=status.state.value,  # type: ignore[arg-type]  # the stubs know enum members, the runtime numbers
                source_error=view_text(view),
                revision=view.state.document.revision if view.state else "",
                generation=view.state.generation if view.state else 0,
                applied_at_ms=view.applied_at_ns // _NS_PER_MS,
                confirmed_at_ms=status.confirmed_at_ns // _NS_PER_MS,
                from_snapshot=status.from_snapshot,
                outages=outages(view.state) if view.state else (),
                gray=_gray(status),
                environment=self._environment,
            )
        )

    def watch_routes(self, request: bytes, permit: Permit | None = None) -> NextUpdate:
        """Begin a WatchRoutes: sends each State once, from the first one that there is."""
        asked = requests.read(pb.WatchRoutesRequest, request)
        requests.check_names("apps", asked.apps, requests.MAX_WATCHED)
        apps = tuple(sorted(set(asked.apps)))
        if permit is not None:
            permit.check_apps(apps)
            if not apps:
                permit.check_every_app()

        def next_update(sent: object) -> tuple[object, Callable[[], bytes]] | None:
            state: State | None = self._table.announced.state
            if state is None or state is sent:
                return None
            return state, lambda: self._updates.encoded(state, apps, detail=asked.detail)

        return next_update


def _gray(status: SourceStatus) -> pb.GrayVersion | None:
    if status.gray is None:
        return None
    since_ms = status.gray_since_ns // _NS_PER_MS
    return pb.GrayVersion(rule=status.gray.rule, clients=status.gray.clients, since_ms=since_ms)
