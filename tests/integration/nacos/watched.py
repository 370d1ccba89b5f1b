"""A Nacos source at work, and everything that it has reported."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.sources import open_source
from sidecar.sources.base import Source
from tests.integration.watched import WatchedSource
from tests.waiting import eventually


class Watched(WatchedSource):
    """A started Nacos source."""

    def __init__(self, source: str | Source, options: Mapping[str, str] | None = None) -> None:
        self.source = open_source(source, options or {}) if isinstance(source, str) else source
        super().__init__(self.source)

    def is_told_of(self, changes: int, within: float = 30.0) -> None:
        """Wait until the push has received this many versions in its session: from then on changes come at once."""
        push = self.source._push  # type: ignore[attr-defined]
        eventually(
            lambda: push._session is not None and len(push._session._shown) > changes, "a push session", within=within
        )
