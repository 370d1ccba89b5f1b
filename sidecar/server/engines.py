"""Chooses how calls are answered: directly, where this release of grpcio passes a check, else on threads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import grpc

from sidecar.errors import BadRequest, ConfigError, SidecarError
from sidecar.server.calls import CallEngine, InternalErrors, Metadata, OnEnd
from sidecar.server.large_requests import LARGE_BYTES
from sidecar.server.threads import ThreadEngine

MODES = ("auto", "direct", "threads")

# What one step of the check may take; where a private name has changed its meaning, a call may simply not end.
_STEP_S = 1.0
_REJECTED = "rejected by the check"


def choose_engine(mode: str, errors: InternalErrors, *, large_bytes: int = LARGE_BYTES) -> tuple[CallEngine, str]:
    """Return the engine for a mode (`auto`, `direct`, `threads`), and for the log why.

    Raises ConfigError where `direct` is demanded and does not work.
    """
    if mode == "threads":
        return ThreadEngine(errors, large_bytes), "as configured"
    began = time.perf_counter()
    try:
        engine = _direct(errors, large_bytes)
        check(engine)
    except Exception as error:
        why = f"direct handling does not work with grpcio {grpc.__version__}: {str(error) or type(error).__name__}"
        if mode == "direct":
            raise ConfigError(f"--call-handling direct: {why}; use auto or threads") from error
        return ThreadEngine(errors, large_bytes), why
    return engine, f"checked in {1000 * (time.perf_counter() - began):.0f} ms"


def check(engine: CallEngine) -> None:
    """Make calls through an engine: a unary one, a stream, and rejected ones. Raises where one goes wrong."""
    calls = engine.group(8)
    counted: list[str] = []

    def on_begin(_metadata: Metadata) -> OnEnd:
        return counted.append

    handlers = {
        "/check/unary": calls.unary(_answer, on_begin),
        "/check/bidi": calls.bidi(_answer, on_begin),
        "/check/rejected": engine.reject(BadRequest("check", _REJECTED)).handler,
    }
    # An address that no file system and no other host can interfere with, where the system has such addresses.
    address = f"unix-abstract:dc-sidecar-{uuid4()}" if sys.platform == "linux" else "localhost:0"
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Methods(handlers)])
    try:
        port = server.add_insecure_port(address)
        server.start()
        with grpc.insecure_channel(address if port <= 1 else f"localhost:{port}") as channel:
            _check_calls(channel)
    finally:
        server.stop(0).wait(_STEP_S)
    _expect("open calls", not calls.empty, expected=False)
    _expect("counted calls", sorted(counted), expected=["INVALID_ARGUMENT", "OK", "OK"])


def _check_calls(channel: grpc.Channel) -> None:
    unary = channel.unary_unary("/check/unary", None, None)
    _expect("a response", unary(b"one", timeout=_STEP_S, wait_for_ready=True), expected=b"one answered")
    _expect("a refused request", _code(lambda: unary(b"", timeout=_STEP_S)), expected="INVALID_ARGUMENT")
    stream = channel.stream_stream("/check/bidi", None, None)(iter((b"one", b"two")), timeout=_STEP_S)
    _expect("a stream", list(stream), expected=[b"one answered", b"two answered"])
    rejected = channel.unary_unary("/check/rejected", None, None)
    _expect("a rejected call", _code(lambda: rejected(b"one", timeout=_STEP_S)), expected="INVALID_ARGUMENT")


def _answer(request: bytes) -> bytes:
    if not request:
        raise BadRequest("check", _REJECTED)
    return request + b" answered"


def _code(call: Callable[[], object]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def _expect(what: str, found: object, *, expected: object) -> None:
    if found != expected:
        raise SidecarError(f"{what}: found {found!r}, expected {expected!r}")


def _direct(errors: InternalErrors, large_bytes: int) -> CallEngine:
    # Imported here, as a release of grpcio may lack the private names that it needs.
    from sidecar.server.direct import DirectEngine  # noqa: PLC0415

    return DirectEngine(errors, large_bytes)


class _Methods(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(handler_call_details.method)
