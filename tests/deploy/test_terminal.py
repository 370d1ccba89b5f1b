"""The terminal session of the documentation is recorded from real runs."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from deploy.site import terminal


def _texts(svg: str) -> list[str]:
    return [html.unescape(text).replace("\u00a0", " ") for text in re.findall(r">([^<]+)</text>", svg)]


def test_the_session_can_be_recorded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command runs and answers as the session shows it: decided, switched and confirmed, recorded, refused."""
    monkeypatch.setattr(terminal, "TARGET", tmp_path / "terminal.svg")
    assert terminal.main() == 0
    for picture in (tmp_path / "terminal.svg", terminal.ROOT / "docs/images/terminal.svg"):
        words = " ".join(_texts(picture.read_text(encoding="utf-8"))).split()
        assert {"SPLIT", "ACTIVE", "confirmed", "switch", "biling:"} <= set(words)
        assert [*words].count("dc-sidecar") >= len(terminal.SESSION)


def test_the_picture_loads_nothing() -> None:
    """Its fonts are the reader's."""
    svg = (terminal.ROOT / "docs/images/terminal.svg").read_text(encoding="utf-8")
    assert "@font-face" not in svg
    assert "url(http" not in svg
