"""Converts the error of a gRPC call into one of ours."""

from __future__ import annotations

from typing import cast

import grpc

from sidecar.errors import (
    BadRequest,
    CallFailed,
    NotServing,
    Overloaded,
    PermissionRefused,
    SidecarError,
    SidecarUnreachable,
    TooSlow,
    Unauthenticated,
)

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
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated(f"{target}: {details}")
        case grpc.StatusCode.PERMISSION_DENIED:
            return PermissionRefused(f"{target}: {details}")
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
