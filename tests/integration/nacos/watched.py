"""A Nacos source at work, and all that it reports."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Self

from sidecar.sources import open_source
from sidecar.sources.base import Content, Report, Unreachable
from tests.waiting import eventually


class Watched:
    """A started source and all that it reported; as a context manager it is stopped at the end."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self.reports: list[Report] = []
        self.seen: dict[str, float] = {}
        self.source = open_source(url, options or {})
        self.source.start(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop(10)

    @property
    def last(self) -> Report | None:
        return self.reports[-1] if self.reports else None

    def texts(self) -> list[str]:
        """All texts in order, repetitions dropped."""
        texts = [report.text.decode() for report in [*self.reports] if isinstance(report, Content)]
        return [text for text, before in zip(texts, [None, *texts], strict=False) if text != before]

    def reaches(self, text: str, within: float = 10.0) -> float:
        """Wait until this text is what was reported last; return when it was first, by time.monotonic()."""
        eventually(
            lambda: isinstance(self.last, Content) and self.last.text == text.encode(),
            f"{text!r}, the last report being {self.last}",
            within=within,
            every=0.002,
        )
        return self.seen[text]

    def becomes(self, kind: type[Report], within: float = 10.0) -> Report:
        eventually(lambda: isinstance(self.last, kind), f"{kind.__name__} after {self.last}", within=within)
        assert self.last is not None
        return self.last

    def is_told_of(self, changes: int, within: float = 30.0) -> None:
        """Wait until the push has told of so many versions in this session, after which changes come at once."""
        push = self.source._push  # type: ignore[attr-defined]
        eventually(
            lambda: push._session is not None and len(push._session._shown) > changes, "a push session", within=within
        )

    def was_away(self) -> bool:
        return any(isinstance(report, Unreachable) for report in [*self.reports])

    def _take(self, report: Report) -> None:
        if isinstance(report, Content):
            self.seen.setdefault(report.text.decode(), time.monotonic())
        self.reports.append(report)
