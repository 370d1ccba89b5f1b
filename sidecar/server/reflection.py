"""Reflection, so that grpcurl and its like need no .proto file; loaded when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from sidecar.server.requests import encoded, read

# The messages of both are the same bytes; newer tools ask for the first.
SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class Reflection:
    """Answers for the services named."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = (*services, SERVICES[1])

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
