"""OpenTelemetry spans of calls, configured by the standard OTEL_ variables; without them nothing is imported."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import grpc

from sidecar import __version__
from sidecar.server.calls import Metadata, OnBegin, OnEnd

log = logging.getLogger(__name__)

_PROTOCOL = "http/protobuf"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# The codes that mean a fault of the sidecar, not of the caller (OpenTelemetry's conventions for gRPC servers).
_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class Tracing:
    """Gives each call a span, the child of the caller's, and sends them to a collector in the background."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.propagate import extract  # noqa: PLC0415
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415

        own = Resource({"service.name": "dc-sidecar", "service.version": __version__})
        self._provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("dc-sidecar", __version__)
        self._extract, self._kind, self._error = extract, SpanKind.SERVER, StatusCode.ERROR

    def of(self, path: str) -> OnBegin:
        """Return a wrapper that gives each call of a method a span; `path` as in `/package.Service/Method`.

        A stream is one span without events for its messages, since it can last for days.
        """
        name = path.removeprefix("/")
        service, _, method = name.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}

        def begun(metadata: Metadata) -> OnEnd:
            carrier = {key: value for key, value in metadata if isinstance(value, str)}
            span = self._tracer.start_span(name, self._extract(carrier), self._kind, attributes)

            def ended(code: str) -> None:
                span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
                if code in _FAULTS:
                    span.set_status(self._error, code)
                span.end()

            return ended

        return begun

    def stop(self, timeout: float) -> None:
        """Send the queued spans, within `timeout` seconds, and stop."""
        # By itself it would try for longer, whatever time it is given.
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(timeout)


def open_tracing(env: Mapping[str, str]) -> Tracing | None:
    """Return the tracer of calls, None where no collector is configured; a missing package is a warning."""
    exporter = env.get("OTEL_TRACES_EXPORTER", "")
    wanted = exporter == "otlp" or (not exporter and any(env.get(name) for name in _ENDPOINTS))
    if not wanted or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    protocol = next((env[name] for name in _PROTOCOLS if env.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        log.warning("no traces: found the OTLP protocol %s in the environment, expected %s", protocol, _PROTOCOL)
        return None
    try:
        return Tracing()
    except ModuleNotFoundError as error:
        log.warning("no traces: they need the package %r: pip install '.[otel]' in a checkout", error.name)
        return None
