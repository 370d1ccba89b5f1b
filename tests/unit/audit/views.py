"""Views of documents, as the table would put them in force."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.table import View

NOTHING = View(state=None, text=b"", status=SourceStatus())
SYNCED = SourceStatus(state=SourceState.SYNCED, error="", version="v1")


def view(
    text: str, at: str = "2026-11-22T10:00:00Z", *, unhealthy: Mapping[str, str] | None = None, was: View | None = None
) -> View:
    """Return a view in which a document decides at a time; that of `was` itself where it has the same text."""
    now_ns = parse_time(at)
    assert now_ns is not None
    same = was is not None and was.state is not None and was.text == text.encode()
    document = was.state.document if same and was and was.state else parse_document(text.encode())
    state = State(document, generation=1, now_ns=now_ns, unhealthy=unhealthy or {})
    return View(state=state, text=text.encode(), source_text=text.encode(), status=SYNCED)
