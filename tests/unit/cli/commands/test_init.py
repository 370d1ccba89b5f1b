"""`init`."""

from __future__ import annotations

from pathlib import Path

from sidecar.routing.document import parse_document
from tests.unit.cli.conftest import TEXT, Run


def test_a_first_document_only(run: Run, key: Path) -> None:
    """`init` makes a valid document that explains itself, and never replaces one."""
    assert run("init", "dc1", "--yes").code == 3
    key.unlink()
    assert run("switch", "billing", "dc2", "--yes").code == 3
    assert run("init", "dc1", "dc2", "--yes").code == 0
    document = parse_document(key.read_bytes())
    assert document.route("any").backups == ("dc2",)
    key.unlink()
    assert run("init", "dc1", "--bare", "--yes").code == 0
    assert key.read_text() == "dc1\n"


def test_a_bare_word_names_one_datacenter(run: Run, key: Path) -> None:
    """--bare with several is wrong usage."""
    result = run("init", "dc1", "dc2", "--bare", "--yes")
    assert (result.code, result.out, key.read_text()) == (2, "", TEXT)
    assert "--bare" in result.err
