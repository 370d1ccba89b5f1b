"""The HTTP paths and what answers them."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from sidecar.counters import ProcessCounts, TaskStatus
from sidecar.errors import SidecarError
from sidecar.routing.state import State
from sidecar.table import RoutingTable
from sidecar.view import View
from sidecar.web.alerts import failing
from sidecar.web.following import Followed, active, decided, key_in_header
from sidecar.web.history import HistoryReader, history_json, history_query
from sidecar.web.metrics import Metrics
from sidecar.web.notifier import ChangeNotifier
from sidecar.web.rates import EVERY_S, DecisionRates
from sidecar.web.recent_changes import RecentChanges
from sidecar.web.routes import EncodedRoutes, app_json, workers_json
from sidecar.web.status import EncodedDocuments, Identity, followers_json, status_json
from sidecar.web.whatif import what_if
from sidecar.web.xds_clients import xds_clients_json
from sidecar.wording import no_document_text

if TYPE_CHECKING:
    from sidecar.followers.registry import Follower
    from sidecar.followers.xds_clients import XdsClients

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"

# Maximum concurrent requests that wait: long polls, and separately event streams. Together they leave connections
# (`connections.MOST`) for requests that do not.
_MAX_POLLS = 96
_MAX_STREAMS = 96
_MAX_WAIT_S = 60.0
# Changes within this time are one event.
_GATHER_S = 0.1
# The table checks the clock every second; parsing a document of a megabyte takes a few.
_HEARTBEAT_S = 30.0
_WAIT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)s?")

Endpoint = Callable[[Request], Awaitable[Response]]


class HttpApi:
    """Answers HTTP from the table. Its methods run in the loop; long work is done on threads.

    `history` reads the audit, None where none is kept.
    """

    def __init__(
        self,
        table: RoutingTable,
        *,
        identity: Identity,
        metrics: Metrics,
        processes: Callable[[], ProcessCounts],
        tasks: Callable[[], Iterable[TaskStatus]],
        rates: DecisionRates,
        recent: RecentChanges,
        history: HistoryReader | None,
        live_workers: Callable[[str], tuple[Mapping[str, int], int]],
        followers: Callable[[], Iterable[Follower]] | None = None,
        held_s: Callable[[], float] = float,
        xds_clients: XdsClients | None = None,
    ) -> None:
        self._table = table
        self._identity = identity
        self._metrics = metrics
        self._processes = processes
        self._tasks = tasks
        self._rates = rates
        self._recent = recent
        self._read_history = history
        self._live_workers = live_workers
        self._followers = followers or tuple
        self._held_s = held_s
        self._xds_clients = xds_clients
        self._routes = EncodedRoutes()
        self._documents = EncodedDocuments()
        self._explaining = asyncio.Semaphore(1)
        self._scraping = asyncio.Semaphore(1)
        self._reading = asyncio.Semaphore(1)
        self._polls = _WaitingSlots(_MAX_POLLS)
        self._streams = _WaitingSlots(_MAX_STREAMS)
        # Generations start at 1 in each process, so an ETag must name the process.
        self._process = secrets.token_hex(4)
        self.notifier = ChangeNotifier()
        self.stopping = False

    def app(self) -> Starlette:
        """Return it as an ASGI application."""
        paths: dict[str, Endpoint] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._scrape,
            "/v1/status": self._status,
            "/v1/routes": self._all_routes,
            "/v1/routes/{app:path}": self._one_route,
            "/v1/active/{app:path}/{datacenter}": self._active,
            "/v1/decide": self._decide,
            "/v1/history": self._history,
            "/v1/changes": self._changes,
            "/v1/rates": self._all_rates,
            "/v1/explain": self._explain,
            "/v1/xds": self._xds,
            "/v1/events": self._events,
            "/openapi.json": _openapi,
            "/": _page,
        }
        routes = [Route(path, endpoint) for path, endpoint in paths.items()]
        return Starlette(
            routes=[*routes, Mount("/static", StaticFiles(directory=_STATIC))],
            exception_handlers={HTTPException: _refused, SidecarError: _failed},  # type: ignore[dict-item]  # each takes its own
        )

    async def _healthz(self, _: Request) -> Response:
        age = self._table.heartbeat_age_s
        failing_ = {} if age < _HEARTBEAT_S else {"table": f"no heartbeat for {age:.0f} s"}
        held = self._held_s()
        if held:
            failing_["grpc"] = f"its thread has been at one event for {held:.0f} s: see the log"
        alive = self.stopping or not failing_
        failing_ = {} if alive else failing_
        return _json({"alive": alive, "failing": failing_}, status=200 if alive else 503)

    async def _readyz(self, _: Request) -> Response:
        failing_ = failing(self._table.view, self._processes(), stopping=self.stopping)
        return _json({"ready": not failing_, "failing": failing_}, status=503 if failing_ else 200)

    async def _scrape(self, request: Request) -> Response:
        async with self._scraping:
            body, kind = await run_in_threadpool(self._metrics.render, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind})

    async def _status(self, _: Request) -> Response:
        return _json(await self._status_of(self._table.view))

    async def _all_routes(self, request: Request) -> Response:
        state, etag = await self._state_for(request)
        if state is None:
            return Response(status_code=304, headers={"ETag": etag})
        body = await run_in_threadpool(self._routes.body, state)
        return Response(body, media_type="application/json", headers={"ETag": etag, "Cache-Control": "no-cache"})

    async def _one_route(self, request: Request) -> Response:
        state, etag = await self._state_for(request)
        if state is None:
            return Response(status_code=304, headers={"ETag": etag})
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        app = request.path_params["app"]
        return _json({**app_json(state, app), **workers_json(*self._live_workers(app))}, headers=headers)

    async def _active(self, request: Request) -> Response:
        path, key = request.path_params, request.query_params.get("key", "")
        known = _known_etags(request)
        wait = _seconds(request.query_params.get("wait"))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._polls if wait else nullcontext():
            while True:
                view = self._table.view
                if view.state is None:
                    raise _no_document(view)
                answer = active(view.state, path["app"], path["datacenter"], key)
                remaining = deadline - loop.time()
                if answer.etag not in known or remaining <= 0 or self.stopping:
                    return _followed(answer, known)
                await self.notifier.wait(remaining)

    async def _decide(self, request: Request) -> Response:
        view, query = self._table.view, request.query_params
        if view.state is None:
            raise _no_document(view)
        key = query["key"] if "key" in query else key_in_header(request.headers, query.get("key_header", ""))
        return _followed(decided(view.state, query.get("app", ""), key), frozenset())

    async def _changes(self, _: Request) -> Response:
        return _json({"changes": await run_in_threadpool(self._recent.newest_first)})

    async def _history(self, request: Request) -> Response:
        query = history_query(request.query_params)
        if self._read_history is None:
            raise HTTPException(404, "no audit is kept: start the sidecar with --state-dir; /v1/changes has the latest")
        async with self._reading:
            try:
                body = await run_in_threadpool(history_json, self._read_history, query)
            except OSError as error:
                raise HTTPException(503, f"the audit cannot be read now: {error.strerror}") from error
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-cache"})

    async def _all_rates(self, _: Request) -> Response:
        return _json({"every_s": EVERY_S, "samples": self._rates.all()})

    async def _explain(self, request: Request) -> Response:
        query = request.query_params
        view = self._table.view
        if view.state is None:
            raise _no_document(view)
        asked = [query.get(name, "") for name in ("app", "job", "instance", "candidates")]
        async with self._explaining:
            return _json(await run_in_threadpool(what_if, view.state, view.text, *asked))

    async def _xds(self, _: Request) -> Response:
        if self._xds_clients is None:
            return _json({"clients": []})
        return _json(await run_in_threadpool(xds_clients_json, self._xds_clients))

    async def _events(self, _: Request) -> Response:
        return _EventStream(self._follow(), self._streams)

    async def _follow(self) -> AsyncIterator[bytes]:
        """Yield status and followers when they change, the number of changes, and each new sample of the rates."""
        sent: View | None = None
        sampled: object = None
        shown: list[dict[str, Any]] = []
        counted = -1
        # After an end of the connection the browser tries again in a second.
        yield b"retry: 1000\n\n"
        while not self.stopping:
            view, newest = self._table.view, self._rates.newest()
            if view is not sent:
                sent = view
                yield _event("status", await self._status_of(view))
            if counted != self._recent.count:
                counted = self._recent.count
                yield _event("changes", {"count": counted})
            followers = followers_json(self._followers())
            if followers != shown:
                shown = followers
                yield _event("followers", followers)
            if newest is not None and newest != sampled:
                sampled = newest
                yield _event("rates", newest)
            await self.notifier.wait(2 * EVERY_S)
            await asyncio.sleep(_GATHER_S)

    async def _state_for(self, request: Request) -> tuple[State | None, str]:
        """Return the State to answer from and its ETag; None where the client has it, after as long as it would wait.

        Raises HTTPException while there is no document.
        """
        wait = _seconds(request.query_params.get("wait"))
        had = _known_etags(request)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._polls if wait else nullcontext():
            while True:
                view = self._table.view
                etag = f'"{self._process}-{view.state.generation}"' if view.state else ""
                if view.state is not None and etag not in had:
                    return view.state, etag
                remaining = deadline - loop.time()
                if remaining <= 0 or self.stopping:
                    break
                await self.notifier.wait(remaining)
        if view.state is None:
            raise _no_document(view)
        return None, etag

    async def _status_of(self, view: View) -> dict[str, Any]:
        document = await run_in_threadpool(self._documents.of, view.state)
        processes, tasks = self._processes(), self._tasks()
        return status_json(
            view,
            self._identity,
            processes,
            stopping=self.stopping,
            tasks=tasks,
            followers=self._followers(),
            document=document,
        )


class _WaitingSlots:
    """A context for each request that waits; entering it raises HTTPException (503) beyond `most`."""

    def __init__(self, most: int) -> None:
        self._free = most

    def __enter__(self) -> None:
        if self._free <= 0:
            raise HTTPException(503, "as many requests wait as the sidecar allows", {"Retry-After": "5"})
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1


class _EventStream(StreamingResponse):
    """Server-sent events, which take one of the slots from their begin to their end."""

    def __init__(self, content: AsyncIterator[bytes], slots: _WaitingSlots) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or 503, which Starlette makes of the exception, as nothing has been sent."""
        with self._slots:
            await super().__call__(scope, receive, send)


async def _page(_: Request) -> Response:
    return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _openapi(_: Request) -> Response:
    return FileResponse(_HERE / "openapi.json", media_type="application/json")


async def _refused(_: Request, error: HTTPException) -> Response:
    return _json({"error": error.detail}, status=error.status_code, headers=dict(error.headers or {}))


async def _failed(_: Request, error: SidecarError) -> Response:
    return _json({"error": str(error)}, status=400 if error.grpc_status == "INVALID_ARGUMENT" else 500)


def _no_document(view: View) -> HTTPException:
    return HTTPException(503, no_document_text(view.status))


def _seconds(text: str | None) -> float:
    """Return how long a long poll may wait. Raises HTTPException for anything that is not such a time."""
    if text is None:
        return 0.0
    match = _WAIT.fullmatch(text)
    if match is None:
        raise HTTPException(400, f"wait: found {text[:40]!r}, expected seconds such as 30s")
    return min(_MAX_WAIT_S, float(match[1]))


def _known_etags(request: Request) -> frozenset[str]:
    tags = request.headers.get("if-none-match", "").split(",")
    return frozenset(tag.strip().removeprefix("W/") for tag in tags)


def _followed(answer: Followed, known: Collection[str]) -> Response:
    headers = {**answer.headers, "ETag": answer.etag, "Cache-Control": "no-cache"}
    if answer.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(f"{answer.line}\n", answer.status, headers, "text/plain")


def _json(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def _event(name: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
