"""The remedy where no sidecar answers: every command that asks one gives the same."""

from __future__ import annotations

GRPC = "start one there, or name the address of its --listen with --sidecar or DC_SIDECAR_ADDRESS"
HTTP = "start one with --http there, or name the address of its --http with --http or DC_SIDECAR_HTTP"
SLOW = "check the sidecar, or raise --timeout"
