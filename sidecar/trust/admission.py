"""The conditions beside validity that a document of the source must meet before it is put in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sidecar.routing.model import RoutingDocument


class Admission(Protocol):
    """Judges documents of the source; called on the table's thread. Both methods raise DocumentRejected.

    `current` and `before` are the document of the source in force, None while there is none.
    """

    def check_text(self, text: bytes, current: bytes | None, now_ns: int) -> None:
        """Judge a text before it is parsed."""
        ...

    def check_change(self, text: bytes, after: RoutingDocument, before: RoutingDocument | None, now_ns: int) -> None:
        """Judge what a valid document changes."""
        ...


class Admissions:
    """Several judges, in order: the first that refuses a document says why."""

    def __init__(self, judges: Sequence[Admission]) -> None:
        self._judges = judges

    def check_text(self, text: bytes, current: bytes | None, now_ns: int) -> None:
        """Judge a text before it is parsed. Raises DocumentRejected."""
        for judge in self._judges:
            judge.check_text(text, current, now_ns)

    def check_change(self, text: bytes, after: RoutingDocument, before: RoutingDocument | None, now_ns: int) -> None:
        """Judge what a valid document changes. Raises DocumentRejected."""
        for judge in self._judges:
            judge.check_change(text, after, before, now_ns)
