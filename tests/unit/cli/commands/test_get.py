"""`get`."""

from __future__ import annotations

from pathlib import Path

from sidecar.cli.main import main
from tests.unit.cli.conftest import Run


def test_every_byte_is_printed(run: Run, key: Path) -> None:
    """The text is printed as it is, valid or not; no document is exit code 3."""
    key.write_bytes(b"\xef\xbb\xbfnonsense: \xff\r\n")
    assert main(["get"]) == 0
    result = run("get", "-o", "json")
    assert result.code == 0
    key.unlink()
    missing = run("get")
    assert missing.code == 3
    assert f"found no routing document at file:{key} (" in missing.err
    assert "check the name" in missing.err
    assert "init" not in missing.err


def test_json_lists_the_problems(run: Run, key: Path) -> None:
    """A text that is not valid is printed with what is wrong with it."""
    key.write_text("default: {activ: dc1}\n")
    found = run("get", "-o", "json").json
    assert found["text"] == key.read_text()
    (problem,) = found["problems"]
    assert problem.startswith("default.activ (line 1, column 11)")
