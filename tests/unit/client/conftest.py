"""A sidecar to ask: the real server on a real table, in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.sources.base import Content, Gray
from sidecar.table import RoutingTable
from tests.waiting import eventually


class Sidecar:
    """A server that can be given documents, ended, and begun again at the same address."""

    def __init__(self, listen: str) -> None:
        self.address = listen
        self._server: Server | None = None
        self._table: RoutingTable | None = None
        self.begin()

    def begin(self) -> None:
        self._table = RoutingTable()
        self._server = Server(
            self._table, settings=ServerSettings(listen=(self.address,), environment="staging"), source="file:test"
        )
        self.address = self._server.start()[0]
        self._table.start()

    def serve(self, text: str, *, gray: Gray | None = None) -> None:
        table = self._table
        assert table is not None
        table.deliver(Content(text.encode(), version=text, gray=gray))
        eventually(lambda: table.view.text == text.encode(), "the document in force")

    def end(self) -> None:
        if self._server is not None and self._table is not None:
            self._server.stop(1.0)
            self._table.stop()
        self._server = self._table = None


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """Run a sidecar on a Unix socket."""
    running = Sidecar(f"unix:{tmp_path}/sidecar.sock")
    yield running
    running.end()
