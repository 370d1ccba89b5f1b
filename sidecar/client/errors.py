"""The errors that calls raise."""

from __future__ import annotations

from typing import cast

import grpc

from sidecar.errors import BadRequest, NotServing, SidecarError


class SidecarUnreachable(NotServing):
    """Nothing listens at the address, or the connection broke before the response."""


class TooSlow(NotServing):
    """There was no response within the deadline."""

    grpc_status = "DEADLINE_EXCEEDED"


class Overloaded(NotServing):
    """The sidecar has reached its limit of concurrent calls."""

    grpc_status = "RESOURCE_EXHAUSTED"


class CallFailed(SidecarError):
    """The sidecar, or what answered in its place, failed."""


# Parts of the details by which gRPC itself reports that no server answered.
_NO_CONNECTION = ("failed to connect", "Socket closed", "Connection reset", "recvmsg", "DNS resolution", "GOAWAY")


def failure(error: grpc.RpcError, target: str, timeout_s: float | None) -> SidecarError:
    """Convert the error of a call. NotServing means that another sidecar, or a later attempt, may succeed."""
    # The error that a call raises is also the call.
    call = cast("grpc.Call", error)
    code, details = call.code(), call.details() or ""
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            field, colon, message = details.partition(": ")
            return BadRequest(field, message) if colon else BadRequest("request", details)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TooSlow(f"{target}: no answer within {timeout_s or 0:g} s: check the sidecar, or raise the timeout")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(f"{target}: {details}")
        case grpc.StatusCode.UNAVAILABLE if any(words in details for words in _NO_CONNECTION):
            return SidecarUnreachable(f"{target}: no sidecar answers there ({_shortened(details)})")
        case grpc.StatusCode.UNAVAILABLE:
            return NotServing(f"{target}: {details}")
        case _:
            return CallFailed(f"{target}: {code.name}: {details}")


def _shortened(details: str) -> str:
    """Return the last, most specific, part of gRPC's message about a connection."""
    if "handshake failed" in details:
        # What follows is of OpenSSL's insides, and may end in "OK".
        return "TLS handshake failed: check that it serves TLS, and the certificates of both sides"
    return details.rsplit("; ", 1)[-1].rsplit(": ", 2)[-1].strip()
