"""Prints the notes of a release from CHANGELOG.md: `python -m deploy.release.notes v1.2.3`.

Fails if the changelog has no section for the version, or the code has another version: a release would lie.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deploy.release.dist import ROOT, NotReleasable

_CODE = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_FINAL = re.compile(r"v(\d+\.\d+\.\d+)((?:a|b|rc)\d+)?")


def main(tag: str) -> int:
    """Print the notes of a tag; return the exit code."""
    try:
        sys.stdout.write(notes(ROOT, tag))
    except NotReleasable as error:
        sys.stderr.write(f"release notes: {error}\n")
        return 1
    return 0


def notes(tree: Path, tag: str) -> str:
    """Return the section of the tag's version; of a pre-release that of `Unreleased`. Raises NotReleasable."""
    match = _FINAL.fullmatch(tag)
    if match is None:
        raise NotReleasable(f"found tag {tag}, expected v1.2.3 or v1.2.3rc1")
    number, pre = match.groups()
    code = _CODE.search((tree / "sidecar/__init__.py").read_text(encoding="utf-8"))
    found = code[1] if code else "none"
    if found not in {number, number + (pre or "")}:
        raise NotReleasable(f"sidecar/__init__.py: found version {found}, expected {number}, that of the tag {tag}")
    changelog = (tree / "CHANGELOG.md").read_text(encoding="utf-8")
    for heading in (number, "Unreleased") if pre else (number,):
        section = re.search(
            rf"^## {re.escape(heading)}(?: - \d{{4}}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
        )
        if section is not None and section[1].strip():
            return section[1].strip() + "\n"
    raise NotReleasable(f"CHANGELOG.md: found no entries for {number}, expected a section `## {number} - DATE`")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
