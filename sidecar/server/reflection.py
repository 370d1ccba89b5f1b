"""Reflection, so that grpcurl and its like need no .proto file; loaded when somebody asks, on a thread of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import grpc

from sidecar.errors import SidecarError
from sidecar.server.calls import OnBegin, Send, end_call, run_on
from sidecar.server.requests import encoded, read

# The messages of both are the same bytes; newer tools ask for the first.
SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class ReflectionService:
    """Answers for the services named, on threads of `pool`."""

    def __init__(self, services: Iterable[str], pool: ThreadPoolExecutor) -> None:
        self._services = (*services, SERVICES[1])
        self._pool = pool

    def handler(self, begun: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of ServerReflectionInfo."""

        def converse(requests: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
            ended = begun(context.invocation_metadata())
            refusal = None
            try:
                for request in requests:
                    send(self.answer(request))
            except SidecarError as error:
                refusal = error
            except grpc.RpcError:
                ended("CANCELLED")
                # The client is gone, which gRPC raises and wants to see again.
                raise
            ended(refusal.grpc_status if refusal else "OK")
            end_call(context, send, refusal)

        return grpc.stream_stream_rpc_method_handler(run_on(self._pool, converse))

    def answer(self, request: bytes) -> bytes:
        """Answer one request of a ServerReflectionInfo stream."""
        reflection, servicer = _loaded(self._services)
        asked = read(reflection.ServerReflectionRequest, request)
        answers: Iterator[Any] = servicer.ServerReflectionInfo(iter((asked,)), None)
        return encoded(next(answers))


@cache
def _loaded(services: tuple[str, ...]) -> tuple[Any, Any]:
    from grpc_reflection.v1alpha import reflection, reflection_pb2  # noqa: PLC0415 - takes memory few ever need

    return reflection_pb2, reflection.ReflectionServicer(services)
