"""A sidecar with HTTP, for what follows its decisions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.routing.document import parse_document
from tests.harness import SidecarProcess
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

DOCUMENT = """\
default: {active: dc1, backups: [dc2]}
apps:
  billing: {split: {dc1: 90, dc2: 10}}
  reports: dc2
  shop: {split: {dc1: 90, dc2: 10}}
"""
DRILL = 'drills: [{datacenter: dc1, until: "2126-01-01T00:00:00Z", reason: Q4 drill}]\n'


class Followed:
    """A sidecar that serves HTTP at `http`, and its document."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.document = folder / "routing.yaml"
        self.write(DOCUMENT)
        self.http = f"{LOOPBACK}:{free_port()}"
        self.sidecar = SidecarProcess(f"file:{self.document}", "--http", self.http, *arguments, folder=folder)

    def write(self, text: str) -> None:
        """Put a document in place, whole."""
        new = self.document.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.document)

    def restore(self) -> None:
        """Have it run with the document that tests begin with."""
        self.write(DOCUMENT)
        if not self.sidecar.running:
            self.sidecar.start()
        revision = parse_document(DOCUMENT.encode()).revision
        eventually(lambda: self.sidecar.status().revision == revision, "the document that tests begin with")


@pytest.fixture(scope="module")
def shared_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """Run one sidecar for the tests of a module."""
    followed = Followed(tmp_path_factory.mktemp("sidecar"))
    with followed.sidecar:
        yield followed


@pytest.fixture
def followed(shared_sidecar: Followed) -> Followed:
    """Return a sidecar with HTTP, in which billing is split 90:10 over dc1 and dc2."""
    shared_sidecar.restore()
    return shared_sidecar
