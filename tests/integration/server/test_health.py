"""The standard health service and reflection, by their own clients."""

from __future__ import annotations

import threading

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.harness import code_of, details_of
from tests.integration.server.conftest import Serve

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ("", "dcsidecar.v1.RoutingService")


@pytest.mark.parametrize("service", SERVICES)
def test_not_serving_until_there_is_a_document(serve: Serve, service: str) -> None:
    """Both names are NOT_SERVING without a document, SERVING with one, and stay so when the config center is lost."""
    served = serve(None)
    health = health_pb2_grpc.HealthStub(served.client.channel)
    request = health_pb2.HealthCheckRequest(service=service)
    statuses = health.Watch(request)
    assert health.Check(request).status == NOT_SERVING
    assert next(statuses).status == NOT_SERVING
    served.put("dc1")
    assert next(statuses).status == SERVING
    served.source.lose()
    served.put("dc2")
    assert health.Check(request).status == SERVING


def test_other_services_are_unknown(serve: Serve) -> None:
    """A Check of another name is NOT_FOUND, a Watch reports SERVICE_UNKNOWN, as in the protocol; List has our names."""
    health = health_pb2_grpc.HealthStub(serve().client.channel)
    request = health_pb2.HealthCheckRequest(service="other")
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(request)
    assert code_of(refused.value) is grpc.StatusCode.NOT_FOUND
    assert next(health.Watch(request)).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    statuses = health.List(health_pb2.HealthListRequest()).statuses
    assert {name: response.status for name, response in statuses.items()} == dict.fromkeys((*SERVICES, "live"), SERVING)


def test_alive_is_less_than_ready(serve: Serve) -> None:
    """Without a document the service `live` is SERVING: a restart would not bring the config center back."""
    health = health_pb2_grpc.HealthStub(serve(None).client.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
    assert health.Check(health_pb2.HealthCheckRequest(service="live")).status == SERVING


def test_not_serving_at_the_end(serve: Serve) -> None:
    """A watcher of health learns NOT_SERVING before its stream ends with UNAVAILABLE."""
    served = serve()
    statuses = health_pb2_grpc.HealthStub(served.client.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(statuses).status == SERVING
    threading.Thread(target=served.server.stop, args=(5,)).start()
    assert next(statuses).status == NOT_SERVING
    with pytest.raises(grpc.RpcError) as ended:
        next(statuses)
    assert code_of(ended.value) is grpc.StatusCode.UNAVAILABLE


def test_reflection_describes_the_services(serve: Serve) -> None:
    """A tool without the .proto file finds the services, and the file that describes them, under either version."""
    channel = serve().client.channel
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="dcsidecar.v1.RoutingService"),
    ]
    newer = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    for call in (reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo, newer):
        services, file = call(iter(asked))
        names = {service.name for service in services.list_services_response.service}
        assert {"dcsidecar.v1.RoutingService", "grpc.health.v1.Health"} <= names
        described = FileDescriptorProto.FromString(file.file_descriptor_response.file_descriptor_proto[0])
        assert described.service[0].name == "RoutingService"


def test_reflection_refuses_what_it_cannot_read(serve: Serve) -> None:
    """Bytes that are no request end the stream with INVALID_ARGUMENT."""
    call = serve().client.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", None, None
    )
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([b"\xff"])))
    assert code_of(refused.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert "ServerReflectionRequest" in details_of(refused.value)
