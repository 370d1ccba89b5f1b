"""Views of documents, as the table would put them in force."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.outage import Fault, FaultKind, unhealthy
from sidecar.routing.scalars import parse_time
from sidecar.routing.state import State
from sidecar.view import View
from tests.views import NOTHING, view_of

__all__ = ["NOTHING", "SYNCED", "view"]

SYNCED = SourceStatus(state=SourceState.SYNCED, version="v1")


def view(
    text: str, at: str = "2026-11-22T10:00:00Z", *, down: Mapping[str, str] | None = None, was: View | None = None
) -> View:
    """Return a view in which a document decides at a time; that of `was` itself where it has the same text.

    `down` are the datacenters that health checks judged down, with the text of the fault.
    """
    now_ns = parse_time(at)
    assert now_ns is not None
    same = was is not None and was.state is not None and was.text == text.encode()
    document = was.state.document if same and was and was.state else parse_document(text.encode())
    judged = {name: unhealthy(Fault(FaultKind.OTHER, text=fault)) for name, fault in (down or {}).items()}
    state = State(document, generation=1, now_ns=now_ns, unhealthy=judged)
    return view_of(state, text.encode(), status=SYNCED)
