"""A server in this process, with a source that a test plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sidecar.server.server import Server
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from sidecar.testing import FakeSource
from tests.harness import Client
from tests.waiting import eventually

DOCUMENT = "default: {active: dc1, backups: [dc2]}\napps: {billing: dc2, reports: {split: {dc1: 1, dc3: 3}}}\n"


@dataclass
class Served:
    """A server that is up, its source, its table, its first address, and a client of that."""

    server: Server
    source: FakeSource
    table: RoutingTable
    address: str
    client: Client

    def put(self, text: str) -> str:
        """Put a document, wait until it is in force, and return its revision."""
        before = self.table.view
        self.source.put(text)
        eventually(lambda: self.table.view is not before, "another view")
        state = self.table.view.state
        assert state is not None
        return state.document.revision


Serve = Callable[..., Served]


@pytest.fixture(params=["direct", "threads"])
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Return what starts a server: `serve(text, **settings)`; text None is a source without the key.

    Each test runs with both ways of handling calls.
    """
    with ExitStack() as stack:

        def start(text: str | None = DOCUMENT, **settings: object) -> Served:
            settings.setdefault("call_handling", request.param)
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="sidecar-")))
            listen = settings.pop("listen", (f"unix:{folder}/s",))
            table = RoutingTable()
            source = FakeSource(text)
            server = Server(table, settings=ServerSettings(listen=listen, **settings), source=source.url)  # type: ignore[arg-type]
            address = server.start()[0]
            stack.callback(server.stop, 0.5)
            table.start()
            stack.callback(table.stop)
            before = table.view
            source.start(table.deliver)
            eventually(lambda: table.view is not before, "the source's first report")
            client = stack.enter_context(Client(address))
            return Served(server, source, table, address, client)

        yield start
