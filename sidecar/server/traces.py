"""Spans of OpenTelemetry for unary calls, where the standard OTEL_ variables ask for them; else nothing is imported."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from sidecar import __version__

log = logging.getLogger(__name__)

Behaviour = Callable[[bytes, grpc.ServicerContext], bytes]

_PROTOCOL = "http/protobuf"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# What says that the sidecar failed, not the caller (OpenTelemetry's conventions for gRPC servers).
_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class Traces:
    """Gives each unary call a span, the child of the caller's, and sends them to a collector in the background."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        own = Resource({"service.name": "dc-sidecar", "service.version": __version__})
        self._provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("dc-sidecar", __version__)

    def traced(self, path: str, behaviour: Behaviour) -> Behaviour:
        """Return a behaviour that does the same within a span; `path` as in `/package.Service/Method`."""
        from opentelemetry.propagate import extract  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415

        name = path.removeprefix("/")
        service, _, method = name.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        tracer = self._tracer

        def call(request: bytes, context: Any) -> bytes:  # noqa: ANN401 - its `code` is not in the stubs
            carrier = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            span = tracer.start_span(name, extract(carrier), SpanKind.SERVER, attributes)
            try:
                return behaviour(request, context)
            finally:
                code = context.code() or grpc.StatusCode.OK
                span.set_attribute("rpc.grpc.status_code", code.value[0])
                if code.name in _FAULTS:
                    span.set_status(StatusCode.ERROR, code.name)
                span.end()

        return call

    def stop(self, timeout: float) -> None:
        """Send what is waiting, for `timeout` seconds at most, and end."""
        # By itself it would try for longer, whatever time it is given.
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(timeout)


def traces(env: Mapping[str, str]) -> Traces | None:
    """Return what traces calls, None where no collector is named; what is lacking for it is a warning."""
    exporter = env.get("OTEL_TRACES_EXPORTER", "")
    wanted = exporter == "otlp" or (not exporter and any(env.get(name) for name in _ENDPOINTS))
    if not wanted or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    protocol = next((env[name] for name in _PROTOCOLS if env.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        log.warning("no traces: found the OTLP protocol %s in the environment, expected %s", protocol, _PROTOCOL)
        return None
    try:
        return Traces()
    except ModuleNotFoundError as error:
        log.warning("no traces: they need the package %r: pip install 'dc-sidecar[otel]'", error.name)
        return None
