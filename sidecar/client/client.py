"""The client: calls with a deadline, and answers cached while they are valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc

from sidecar.client import values
from sidecar.client.cache import AnswerCache
from sidecar.client.channel import TokenFile, open_channel
from sidecar.client.errors import failure
from sidecar.client.route_watcher import RouteWatcher
from sidecar.client.values import AppRoute, FilterResult, RouteUpdate, Status, Tls
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.location import Candidate

A = TypeVar("A")

_SERVICE = pb.DESCRIPTOR.services_by_name["RoutingService"].full_name
_CACHED_ANSWERS = 10_000


class RoutingClient:
    """A connection to one sidecar, for any number of threads; `close` it, or use it in a `with` statement.

    `target` is `host:port`, `[ipv6]:port` or `unix:/path`, `timeout` the deadline of a call in seconds. With a
    `cache_size` over 0 a thread watches the sidecar's changes; while it does, repeated requests are answered from
    memory for as long as the routes stay in force. That thread calls `on_routes` with the routes now and after each
    change, in full detail, and the `epoch` that begins with them.

    `token_file` has the bearer token that calls carry; a new one in it is used within two seconds.

    Calls raise NotServing if another sidecar or a later attempt may succeed (its subclasses SidecarUnreachable, TooSlow
    and Overloaded say why), BadRequest for a request that exceeds a bound, Unauthenticated and PermissionRefused where
    the sidecar has a policy, CallFailed for defects, and ConfigError for a token that cannot be read.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None = None,
        token_file: Path | None = None,
        timeout: float = 0.2,
        cache_size: int = _CACHED_ANSWERS,
        on_routes: Callable[[RouteUpdate, int], None] | None = None,
    ) -> None:
        self._target = target
        self._timeout = timeout
        self._token = TokenFile(token_file) if token_file is not None else None
        if self._token is not None:
            self._token.read()
        self._channel = open_channel(target, tls)
        self._filter = self._unary("FilterWorkers", pb.FilterWorkersResponse.FromString)
        self._route = self._unary("GetRoute", pb.AppRoute.FromString)
        self._status = self._unary("GetStatus", pb.SidecarStatus.FromString)
        self._watch = cast(
            "grpc.UnaryStreamMultiCallable[Any, pb.RouteUpdate]",
            self._channel.unary_stream(
                f"/{_SERVICE}/WatchRoutes",
                request_serializer=pb.WatchRoutesRequest.SerializeToString,
                response_deserializer=pb.RouteUpdate.FromString,
            ),
        )
        self._cache: AnswerCache[FilterResult] = AnswerCache(cache_size)
        listener = None
        if on_routes is not None:
            listener = lambda update, epoch: on_routes(values.route_update(update), epoch)  # noqa: E731
        self._watcher = RouteWatcher(self._watching, self._cache, listener) if cache_size > 0 else None
        if self._watcher is not None:
            self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def caching(self) -> bool:
        """True while answers may come from memory, as the sidecar is being watched."""
        return self._cache.open

    @property
    def epoch(self) -> int:
        """A number that changes with each update of the routes, and when the watch breaks."""
        return self._cache.epoch

    def filter(
        self,
        app: str,
        *,
        job: str = "",
        instance: str = "",
        candidates: Sequence[Candidate] = (),
        aliases: Sequence[str] = (),
        dispatch: bool = False,
    ) -> FilterResult:
        """Return which of the candidates may run a job of an application now; `aliases` are its other names.

        A split's shares are taken over `app`. Set `dispatch` if a run is dispatched by the answer.
        """
        request = pb.FilterWorkersRequest(
            app=app,
            job=job,
            instance=instance,
            candidates=[
                pb.Worker(address=worker.address, datacenter=worker.datacenter, metrics=worker.metrics, tag=worker.tag)
                for worker in candidates
            ],
            app_aliases=aliases,
            indices_only=True,
            dispatch=dispatch,
        ).SerializeToString()
        known, epoch = self._cache.get(request)
        if known is not None:
            return known
        answer = self._call(self._filter, request)
        result = values.filter_result(answer, [worker.address for worker in candidates])
        if not answer.undecided:
            # Else the sidecar counts on seeing the next request.
            self._cache.put(request, result, generation=result.generation, epoch=epoch)
        return result

    def route(self, app: str, *, job: str = "") -> AppRoute:
        """Return the current route of an application, or of one of its jobs."""
        return values.route(self._call(self._route, pb.GetRouteRequest(app=app, job=job).SerializeToString()))

    def status(self) -> Status:
        """Return the sidecar's status: what it serves, and how fresh that is."""
        return values.status(self._call(self._status, b""))

    def watch(self, apps: Sequence[str] = ()) -> Iterator[RouteUpdate]:
        """Yield the routes now, and again after each change; of some applications, or of all.

        Raises NotServing when the stream breaks; close the iterator to end it earlier.
        """
        stream: Any = self._watching(pb.WatchRoutesRequest(apps=apps))
        try:
            for update in stream:
                yield values.route_update(update)
        except grpc.RpcError as error:
            raise failure(error, self._target, None) from error
        finally:
            stream.cancel()

    def close(self) -> None:
        """Close the connection; calls under way fail."""
        if self._watcher is not None:
            self._watcher.stop()
        self._channel.close()

    def _unary(self, method: str, read: Callable[[bytes], A]) -> grpc.UnaryUnaryMultiCallable[bytes, A]:
        return cast(
            "grpc.UnaryUnaryMultiCallable[bytes, A]",
            self._channel.unary_unary(f"/{_SERVICE}/{method}", request_serializer=None, response_deserializer=read),
        )

    def _watching(self, request: pb.WatchRoutesRequest, *, wait_for_ready: bool | None = None) -> Any:  # noqa: ANN401 - gRPC's
        return self._watch(request, wait_for_ready=wait_for_ready, metadata=self._metadata())

    def _metadata(self) -> tuple[tuple[str, str], ...] | None:
        return None if self._token is None else (("authorization", f"Bearer {self._token.read()}"),)

    def _call(self, method: grpc.UnaryUnaryMultiCallable[bytes, A], request: bytes) -> A:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata())
        except grpc.RpcError as error:
            raise failure(error, self._target, self._timeout) from error
