"""What a document of the source must be beside valid before it is put in force."""

from __future__ import annotations

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
