"""Envoy in front of the attacked sidecar, by the example in deploy/envoy."""

from __future__ import annotations

from pathlib import Path

from tests.servers.envoy import EnvoyProcess
from tests.servers.process import LOOPBACK, answers

_CONFIGURATION = Path(__file__).parents[2] / "deploy/envoy/front.yaml"


def front(folder: Path, *, port: int, sidecar: int) -> EnvoyProcess:
    """Return an Envoy that takes gRPC on one port of loopback and passes it on to another."""
    return EnvoyProcess(
        folder,
        _CONFIGURATION.read_text(encoding="utf-8"),
        {
            "address: 0.0.0.0, port_value: 50051": f"address: {LOOPBACK}, port_value: {port}",
            "address: 127.0.0.1, port_value: 50052": f"address: {LOOPBACK}, port_value: {sidecar}",
        },
        ready=lambda: answers(port),
        threads=2,
    )
