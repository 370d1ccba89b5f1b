"""The standard gRPC health service. Its status is computed for each call, so none can go stale."""

from __future__ import annotations

from collections.abc import Callable

from grpc_health.v1 import health_pb2 as pb

from sidecar.errors import UnknownService
from sidecar.server.requests import encoded, read
from sidecar.server.watch_streams import NextUpdate

SERVICE = "grpc.health.v1.Health"
LIVE = "live"


class HealthService:
    """Answers SERVING for "" and for each of `services` while `serving()` is true, NOT_SERVING otherwise.

    The service `live` is SERVING whenever it answers: a restart would not mend a config center that is out of reach.
    """

    def __init__(self, serving: Callable[[], bool], services: frozenset[str]) -> None:
        self._serving = serving
        self._services = services | {"", LIVE}

    def check(self, request: bytes) -> bytes:
        """Answer a Check."""
        service = read(pb.HealthCheckRequest, request).service
        if service not in self._services:
            known = ", ".join(map(repr, sorted(self._services)))
            raise UnknownService(f"service: found {service!r}, known are {known}")
        return encoded(pb.HealthCheckResponse(status=self._status(service)))

    def listing(self, request: bytes) -> bytes:
        """Answer a List."""
        read(pb.HealthListRequest, request)
        statuses = {service: pb.HealthCheckResponse(status=self._status(service)) for service in self._services}
        return encoded(pb.HealthListResponse(statuses=statuses))

    def watch(self, request: bytes) -> NextUpdate:
        """Begin a Watch; services that are not served here get SERVICE_UNKNOWN, as the protocol requires."""
        service = read(pb.HealthCheckRequest, request).service

        def update(sent: object) -> tuple[object, Callable[[], bytes]] | None:
            status = self._status(service)
            if status == sent:
                return None
            return status, pb.HealthCheckResponse(status=status).SerializeToString

        return update

    def _status(self, service: str) -> pb.HealthCheckResponse.ServingStatus:
        if service not in self._services:
            return pb.HealthCheckResponse.SERVICE_UNKNOWN
        return (
            pb.HealthCheckResponse.SERVING if service == LIVE or self._serving() else pb.HealthCheckResponse.NOT_SERVING
        )
