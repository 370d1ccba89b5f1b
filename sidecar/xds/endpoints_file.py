"""Follows the file of `--xds-endpoints`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sidecar.file_reloader import FileReloader, read_file
from sidecar.followers.xds_clients import EndpointsStatus
from sidecar.gil import Yielder
from sidecar.xds.endpoints import Endpoints, read_endpoints

OPTION = "--xds-endpoints"


class EndpointsFile:
    """The endpoints in a file, the last good ones where it cannot be used. Raises ConfigError at the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        content = read_file(path, OPTION)
        self.endpoints = self._read(content)
        self._changed: Callable[[], None] = lambda: None
        self.reloader = FileReloader(path, OPTION, self._apply, known=content)

    def connect(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when other endpoints are in force."""
        self._changed = changed

    def start(self) -> None:
        """Start to follow the file."""
        self.reloader.start()

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds."""
        self.reloader.stop(timeout)

    def status(self) -> EndpointsStatus:
        """Return the endpoints in force, and why the file is not, if it is not."""
        endpoints = self.endpoints
        return EndpointsStatus(
            file=str(self._path),
            revision=endpoints.revision,
            applications=len(endpoints.apps),
            endpoints=endpoints.count,
            problem=self.reloader.problem,
        )

    def _apply(self, content: bytes) -> None:
        self.endpoints = self._read(content)
        self._changed()

    def _read(self, content: bytes) -> Endpoints:
        return read_endpoints(content, f"{OPTION} {self._path}", Yielder())
