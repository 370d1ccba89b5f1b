"""`man`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


def test_every_command_has_a_page(run: Run, tmp_path: Path) -> None:
    """All pages are written, those of groups and their commands too, with name, options and examples."""
    result = run("man", "--all", str(tmp_path / "man1"))
    assert result.code == 0
    pages = {path.name: path.read_text() for path in (tmp_path / "man1").iterdir()}
    assert {"dc-sidecar.1", "dc-sidecar-switch.1", "dc-sidecar-drill-start.1", "dc-sidecar-context-use.1"} <= {*pages}
    assert result.err == f"{len(pages)} pages in {tmp_path / 'man1'}\n"
    for text in pages.values():
        assert {".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"} <= {*text.splitlines()}
    assert run("man", "switch").out == pages["dc-sidecar-switch.1"]
    assert ".SH EXAMPLES" in pages["dc-sidecar-switch.1"]
    assert ".B \\-\\-dry\\-run" in pages["dc-sidecar-switch.1"]
    wrong = run("man", "swich")
    assert (wrong.code, wrong.out) == (2, "")
    (tmp_path / "file").write_text("")
    assert run("man", "--all", str(tmp_path / "file")).code == 78


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_pages_are_valid_roff(run: Run, tmp_path: Path) -> None:
    """The formatter has nothing to say about any page."""
    assert run("man", "--all", str(tmp_path)).code == 0
    pages = sorted(map(str, tmp_path.glob("*.1")))
    assert pages
    done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z", *pages], capture_output=True, text=True, check=True)
    assert done.stderr == ""
