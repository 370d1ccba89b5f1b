"""Spans of a real sidecar, as a collector gets them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.harness import SERVICE, SidecarProcess, a_request
from tests.unit.reactions.receiver import Receiver
from tests.waiting import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
METADATA = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)


def test_a_call_is_a_span_of_its_callers_trace(tmp_path: Path) -> None:
    """The collector gets the call with its method and status under the caller's span; ends send what is waiting."""
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    with Receiver() as collector:
        with _traced(document, collector) as sidecar:
            call = sidecar.client.channel.unary_unary(SERVICE + "FilterWorkers", bytes, bytes)
            call(a_request().SerializeToString(), metadata=METADATA, timeout=30)
            with pytest.raises(grpc.RpcError):
                call(b"\xff", metadata=METADATA, timeout=30)
            assert sidecar.end() == 0
        sent = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    resources = [resource for request in sent for resource in request.resource_spans]
    names = {value.key: value.value.string_value for value in resources[0].resource.attributes}
    assert names["service.name"] == "dc-sidecar"
    codes = [grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT]
    assert _spans(collector) == [("dcsidecar.v1.RoutingService/FilterWorkers", code.value[0]) for code in codes]


def test_a_stream_is_one_span(tmp_path: Path) -> None:
    """A stream of decisions is one span that ends with its status: well, refused, cancelled, or with the sidecar."""
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    good = a_request().SerializeToString()
    with Receiver() as collector:
        with _traced(document, collector) as sidecar:
            stream = sidecar.client.channel.stream_stream(SERVICE + "FilterWorkersStream", bytes, bytes)
            watch = sidecar.client.channel.unary_stream(SERVICE + "WatchRoutes", bytes, bytes)
            assert len(list(stream(iter([good, good]), metadata=METADATA, timeout=30))) == 2
            with pytest.raises(grpc.RpcError):
                list(stream(iter([good, b"\xff"]), metadata=METADATA, timeout=30))
            watching: Any = watch(b"", metadata=METADATA)
            next(watching)
            watching.cancel()
            # The end of the sidecar could overtake the cancellation.
            eventually(lambda: ("dcsidecar.v1.RoutingService/WatchRoutes", 1) in _spans(collector), "the cancelled one")
            lasting: Any = watch(b"", metadata=METADATA)
            next(lasting)
            assert sidecar.end() == 0
        spans = _spans(collector)
    assert sorted(spans) == sorted(
        (f"dcsidecar.v1.RoutingService/{method}", code.value[0])
        for method, code in (
            ("FilterWorkersStream", grpc.StatusCode.OK),
            ("FilterWorkersStream", grpc.StatusCode.INVALID_ARGUMENT),
            ("WatchRoutes", grpc.StatusCode.CANCELLED),
            ("WatchRoutes", grpc.StatusCode.UNAVAILABLE),
        )
    )


def _traced(document: Path, collector: Receiver) -> SidecarProcess:
    env = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    return SidecarProcess(f"file:{document}", folder=document.parent, env=env, within=60)


def _spans(collector: Receiver) -> list[tuple[str, int]]:
    """Return name and status of the spans of our trace, in their order; all are of a server, under the caller's."""
    sent = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    resources = [resource for request in sent for resource in request.resource_spans]
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    ours = [span for span in spans if span.trace_id.hex() == TRACE]
    assert {(span.kind, span.parent_span_id.hex()) for span in ours} <= {(Span.SPAN_KIND_SERVER, PARENT)}
    codes = [
        [value.value.int_value for value in span.attributes if value.key == "rpc.grpc.status_code"] for span in ours
    ]
    return [(span.name, code) for span, (code,) in zip(ours, codes, strict=True)]


def test_a_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    """Calls are answered and the end is in time while spans can be sent nowhere."""
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with SidecarProcess(f"file:{document}", folder=tmp_path, env=env, within=60) as sidecar:
        assert sidecar.filter().datacenter == "dc1"
        assert sidecar.end(within=15) == 0


@pytest.mark.parametrize("variables", [{}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}])
def test_without_being_asked_for_nothing_is_imported(variables: dict[str, str]) -> None:
    """No module of OpenTelemetry is in memory where no variable asks for traces."""
    code = (
        "import sys, sidecar.daemon; from sidecar.server.traces import open_tracing;"
        f"assert open_tracing({variables!r}) is None;"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
