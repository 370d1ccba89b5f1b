"""`diff`."""

from __future__ import annotations

from pathlib import Path

from sidecar.routing.document import revision_of
from tests.unit.cli.conftest import TEXT, Run


def test_a_file_is_compared_with_the_key(run: Run, key: Path, tmp_path: Path) -> None:
    """Difference and effect, exit code 1, nothing written; the same text is exit code 0."""
    file = tmp_path / "new.yaml"
    file.write_text(TEXT.replace("billing: dc1", "billing: dc2"))
    result = run("diff", str(file))
    assert (result.code, key.read_text()) == (1, TEXT)
    assert "+  billing: dc2  # money" in result.out
    assert "billing: all jobs dc1 → dc2" in result.out
    data = run("diff", str(file), "-o", "json").json
    assert (data["source"], data["written"], data["effect"][0]["why"]) == (f"file:{key}", False, "now")
    file.write_text(TEXT)
    same = run("diff", str(file))
    assert (same.code, same.out, same.err) == (0, "", f"No difference: file:{key} holds this text.\n")


def test_a_revision_is_compared_with_the_key(run: Run, key: Path) -> None:
    """An earlier document by its revision, which may be shortened."""
    none = run("diff", "3a7f")
    assert (none.code, "there is no file 3a7f, and file:" in none.err) == (3, True)
    assert run("switch", "billing", "dc2", "--yes").code == 0
    back = run("diff", revision_of(TEXT.encode())[:6])
    assert (back.code, "+  billing: dc1  # money" in back.out) == (1, True)
    assert run("diff", "ffffffffffff").code == 3
    assert "billing: dc2" in key.read_text()


def test_what_is_not_valid_is_refused_with_its_place(run: Run, key: Path, tmp_path: Path) -> None:
    """As by `check`: nothing is compared with a text that cannot be in force."""
    assert key.exists()
    file = tmp_path / "new.yaml"
    file.write_text("default: {activ: dc1}\n")
    result = run("diff", str(file))
    assert (result.code, "default.activ (line 1, column 11)" in result.err) == (3, True)
