"""`put`."""

from __future__ import annotations

from pathlib import Path

from sidecar.routing.document import revision_of
from tests.unit.cli.conftest import TEXT, Run


def test_the_text_is_written_as_it_is(run: Run, key: Path, tmp_path: Path) -> None:
    """A file goes in byte for byte, unless who or why is given; one that is not valid does not."""
    file = tmp_path / "new.yaml"
    file.write_text("default:   dc2   # odd blanks\n")
    assert run("put", str(file), "--yes").code == 0
    assert key.read_bytes() == file.read_bytes()
    assert run("put", str(file), "--yes", "--by", "lin").code == 0
    assert "by: lin" in key.read_text()
    file.write_text("defualt: dc2\n")
    result = run("put", str(file), "--yes")
    assert result.code == 3
    assert "did you mean `default`?" in result.err


def test_a_text_that_could_not_be_changed_in_place_can_be_put(run: Run, key: Path, tmp_path: Path) -> None:
    """JSON with escaped pairs of surrogates is valid, and needs no change."""
    file = tmp_path / "new.json"
    file.write_text('{"meta": {"by": "\\ud83d\\ude00"}, "default": "dc1"}')
    assert run("put", str(file), "--yes").code == 0
    assert key.read_bytes() == file.read_bytes()


def test_it_can_insist_on_what_it_replaces(run: Run, key: Path, tmp_path: Path) -> None:
    """With --expect a document of another revision is left alone: exit code 4, with what was found."""
    file = tmp_path / "new.yaml"
    file.write_text("dc2\n")
    result = run("put", str(file), "--yes", "--expect", "000000000000")
    assert (result.code, key.read_text()) == (4, TEXT)
    assert f"found revision {revision_of(TEXT.encode())}, expected 000000000000" in result.err
    assert run("put", str(file), "--yes", "--expect", revision_of(TEXT.encode())).code == 0
