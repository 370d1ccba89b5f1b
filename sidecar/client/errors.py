"""What calls raise, in the project's own errors."""

from __future__ import annotations

from typing import cast

import grpc

from sidecar.errors import BadRequest, NotServing, SidecarError


class SidecarUnreachable(NotServing):
    """Nobody listens at the address, or the connection broke before the answer."""


class TooSlow(NotServing):
    """The answer did not come within the deadline."""

    grpc_status = "DEADLINE_EXCEEDED"


class Overloaded(NotServing):
    """The sidecar has as many calls as it may have."""

    grpc_status = "RESOURCE_EXHAUSTED"


class CallFailed(SidecarError):
    """The sidecar, or what answers in its place, failed."""


# How gRPC itself begins where no server spoke.
_NO_CONNECTION = ("failed to connect", "Socket closed", "Connection reset", "recvmsg", "DNS resolution", "GOAWAY")


def failure(error: grpc.RpcError, target: str, timeout_s: float | None) -> SidecarError:
    """Return what a call's error means. NotServing covers all that another sidecar, or a later try, may mend."""
    # Each error that a call raises is the call, too.
    call = cast("grpc.Call", error)
    code, details = call.code(), call.details() or ""
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            field, colon, message = details.partition(": ")
            return BadRequest(field, message) if colon else BadRequest("request", details)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TooSlow(
                f"{target}: no answer within {timeout_s or 0:g} s: is the sidecar well? else allow more time"
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(f"{target}: {details}")
        case grpc.StatusCode.UNAVAILABLE if any(words in details for words in _NO_CONNECTION):
            return SidecarUnreachable(f"{target}: no sidecar answers there ({_shortened(details)})")
        case grpc.StatusCode.UNAVAILABLE:
            return NotServing(f"{target}: {details}")
        case _:
            return CallFailed(f"{target}: {code.name}: {details}")


def _shortened(details: str) -> str:
    """Return the last, and most telling, part of what gRPC says of a connection."""
    return details.rsplit("; ", 1)[-1].rsplit(": ", 2)[-1].strip()
