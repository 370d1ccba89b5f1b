"""gRPC server reflection, so that grpcurl and others need no .proto file; loaded at the first request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import grpc

from sidecar.errors import SidecarError
from sidecar.server.calls import CallGuard, OnBegin, abort, admitted
from sidecar.server.requests import encoded, read

# The messages of both are the same bytes; newer tools use the first.
SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class ReflectionService:
    """Describes the named services."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = (*services, SERVICES[1])

    def handler(self, on_begin: OnBegin, guard: CallGuard | None = None) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of ServerReflectionInfo."""

        def reflect(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            answer, on_end = admitted(guard, context, self._permitted, on_begin(context.invocation_metadata()))
            code = "CANCELLED"
            try:
                for request in requests:
                    yield answer(request)
                code = "OK"
            except SidecarError as error:
                code = error.grpc_status
                abort(context, error)
            finally:
                on_end(code)

        return grpc.stream_stream_rpc_method_handler(reflect)

    def _permitted(self, request: bytes, permit: object = None) -> bytes:  # noqa: ARG002 - it is about no application
        return self.answer(request)

    def answer(self, request: bytes) -> bytes:
        """Answer one request of a ServerReflectionInfo stream."""
        reflection, servicer = _loaded(self._services)
        asked = read(reflection.ServerReflectionRequest, request)
        answers: Iterator[Any] = servicer.ServerReflectionInfo(iter((asked,)), None)
        return encoded(next(answers))


@cache
def _loaded(services: tuple[str, ...]) -> tuple[Any, Any]:
    from grpc_reflection.v1alpha import reflection, reflection_pb2  # noqa: PLC0415 - takes memory that few ever need

    return reflection_pb2, reflection.ReflectionServicer(services)
