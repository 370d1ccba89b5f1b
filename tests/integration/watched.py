"""A started source, and everything that it has reported."""

from __future__ import annotations

import time
from typing import Self

from sidecar.sources.base import Content, Report, Source, Unreachable
from tests.waiting import eventually


class WatchedSource:
    """Starts a source and collects its reports; as a context manager it stops the source at the end."""

    def __init__(self, source: Source) -> None:
        self.reports: list[Report] = []
        self.seen: dict[str, float] = {}
        source.start(self._take)
        self._started = source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.stop(10)

    @property
    def last(self) -> Report | None:
        return self.reports[-1] if self.reports else None

    def texts(self) -> list[str]:
        """Return all texts in order, without repetitions."""
        texts = [report.text.decode() for report in [*self.reports] if isinstance(report, Content)]
        return [text for text, before in zip(texts, [None, *texts], strict=False) if text != before]

    def reaches(self, text: str, within: float = 20.0) -> float:
        """Wait until this text is the last report; return when it was first reported, by time.monotonic()."""
        eventually(
            lambda: isinstance(self.last, Content) and self.last.text == text.encode(),
            f"{text!r}, the last report being {self.last}",
            within=within,
            every=0.002,
        )
        return self.seen[text]

    def becomes(self, kind: type[Report], within: float = 20.0) -> Report:
        """Wait until the last report is of this kind, and return it."""
        eventually(lambda: isinstance(self.last, kind), f"{kind.__name__} after {self.last}", within=within)
        assert self.last is not None
        return self.last

    def was_away(self) -> bool:
        """Return whether any read has failed."""
        return any(isinstance(report, Unreachable) for report in [*self.reports])

    def _take(self, report: Report) -> None:
        if isinstance(report, Content):
            self.seen.setdefault(report.text.decode(errors="replace"), time.monotonic())
        self.reports.append(report)
