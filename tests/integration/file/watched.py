"""A file source at work, and all that it reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sidecar.sources import file
from sidecar.sources.base import Content, Report
from tests.waiting import eventually


class Watched:
    """A started file source and all that it reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reports: list[Report] = []
        self.source = file.open_source(f"file:{path}", {})
        self.source.start(self.reports.append)

    @property
    def last(self) -> Report | None:
        return self.reports[-1] if self.reports else None

    def texts(self) -> list[str]:
        """All texts in order, repetitions dropped."""
        texts = [report.text.decode() for report in [*self.reports] if isinstance(report, Content)]
        return [text for text, before in zip(texts, [None, *texts], strict=False) if text != before]

    def reaches(self, text: str, within: float = 10.0) -> None:
        eventually(
            lambda: isinstance(self.last, Content) and self.last.text == text.encode(), repr(text), within=within
        )

    def listens(self) -> None:
        """Wait for the second report: there is one at once when the watches have been set up after the first."""
        eventually(lambda: len(self.reports) >= 2, "a second report")

    def becomes(self, kind: type[Report], within: float = 10.0) -> Report:
        eventually(lambda: isinstance(self.last, kind), kind.__name__, within=within)
        assert self.last is not None
        return self.last


Watch = Callable[[Path], Watched]
