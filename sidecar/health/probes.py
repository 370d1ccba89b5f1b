"""Makes one probe: a connection, a request of HTTP, a call of gRPC's health service; bounded in time and in size."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from sidecar.errors import ProbeFailed
from sidecar.routing.model import Probe, ProbeKind

# Of all the addresses of a name; each gets an equal part of the time.
_MAX_ADDRESSES = 4
# Only the first line of an answer matters, and no honest one is longer.
_MAX_LINE = 1024
_MAX_MESSAGE = 4096


def attempt(probe: Probe, addresses: Sequence[str], timeout: float) -> None:
    """Make the probe once, against the first of the addresses that takes a connection, within `timeout` seconds.

    Raises ProbeFailed.
    """
    deadline = time.monotonic() + timeout
    address, connection = _connect(probe, addresses[:_MAX_ADDRESSES], deadline)
    with connection:
        try:
            if probe.kind is ProbeKind.HTTP:
                _http(probe, connection, deadline)
            elif probe.kind is ProbeKind.GRPC:
                _grpc(probe, address, _remaining(deadline))
        except TimeoutError:
            raise ProbeFailed("no answer in time") from None
        except OSError as error:
            raise ProbeFailed(_text(error)) from None


def _connect(probe: Probe, addresses: Sequence[str], deadline: float) -> tuple[str, socket.socket]:
    failure = ""
    for tried, address in enumerate(addresses):
        try:
            share = _remaining(deadline) / (len(addresses) - tried)
            return address, socket.create_connection((address, probe.port), timeout=share)
        except TimeoutError:
            failure = "no connection in time"
        except OSError as error:
            failure = _text(error)
    raise ProbeFailed(failure)


def _http(probe: Probe, connection: socket.socket, deadline: float) -> None:
    url = urlsplit(probe.target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: dc-sidecar\r\nConnection: close\r\n\r\n"
    connection.settimeout(_remaining(deadline))
    if url.scheme == "https":
        import ssl  # noqa: PLC0415 - it takes memory, and few probes need it

        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=probe.host)
    with connection:
        connection.sendall(request.encode())
        line = b""
        while b"\n" not in line and len(line) < _MAX_LINE:
            connection.settimeout(_remaining(deadline))
            data = connection.recv(_MAX_LINE)
            if not data:
                break
            line += data
    parts = line.partition(b"\r\n")[0].split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise ProbeFailed("the answer is not HTTP")
    status = int(parts[1])
    if status != probe.expect:
        raise ProbeFailed(f"answered {status}, expected {probe.expect}")


def _grpc(probe: Probe, address: str, timeout: float) -> None:
    import grpc  # noqa: PLC0415 - probes that only connect do not need it
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse  # noqa: PLC0415 - likewise

    scheme, host = ("ipv6", f"[{address}]") if ":" in address else ("ipv4", address)
    options = (
        ("grpc.default_authority", probe.target),
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    )
    with grpc.insecure_channel(f"{scheme}:{host}:{probe.port}", options=options) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer = check(HealthCheckRequest(service=probe.service), timeout=timeout)
        except grpc.RpcError as error:
            raise ProbeFailed(f"answered {error.code().name}") from None
    if answer.status != HealthCheckResponse.SERVING:
        raise ProbeFailed(f"answered {HealthCheckResponse.ServingStatus.Name(answer.status)}")


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _text(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
