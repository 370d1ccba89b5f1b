"""Distinguishes new versions from earlier ones, which must be confirmed: Nacos' and Apollo's have no order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum, auto

_REMEMBERED = 1024


class OrderVerdict(Enum):
    """How a version relates to the newest one that was accepted."""

    NEW = auto()
    SAME = auto()
    EARLIER = auto()


class VersionOrder:
    """The versions that were in force, newest last. The key's absence is a version too, the empty one.

    Decision 0401 says why an earlier version needs a second witness, and what counts as one.
    """

    def __init__(self, accepted: Iterable[str] = ()) -> None:
        self._accepted: OrderedDict[str, None] = OrderedDict()
        for version in accepted:
            self.accept(version)

    @property
    def newest(self) -> str | None:
        """The version in force; None before the first."""
        return next(reversed(self._accepted), None)

    def judge(self, version: str) -> OrderVerdict:
        """Classify `version`. Absence is never new once there was a document, so it needs confirmation too."""
        if version == self.newest:
            return OrderVerdict.SAME
        if version in self._accepted or (not version and self._accepted):
            return OrderVerdict.EARLIER
        return OrderVerdict.NEW

    def accept(self, version: str) -> None:
        """Make `version` the newest."""
        self._accepted[version] = None
        self._accepted.move_to_end(version)
        while len(self._accepted) > _REMEMBERED:
            self._accepted.popitem(last=False)
