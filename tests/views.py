"""Views of documents, as the table would put them in force."""

from __future__ import annotations

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.failover import failovers
from sidecar.routing.state import State
from sidecar.view import LoadedDocument, View

NOTHING = View(state=None, status=SourceStatus())
SYNCED = SourceStatus(state=SourceState.SYNCED)


def view_of(state: State, text: bytes = b"", *, status: SourceStatus = SYNCED) -> View:
    """Return a view in which a State decides, by a document of the source with this text."""
    return View(
        state,
        status,
        LoadedDocument(text, state.document),
        unhealthy=state.unhealthy,
        failovers=failovers(state.failover_states),
    )


def view(text: str | bytes, *, generation: int = 1, status: SourceStatus = SYNCED, stale: bool = False) -> View:
    """Return a view in which a document decides, at the beginning of time."""
    encoded = text if isinstance(text, bytes) else text.encode()
    return view_of(State(parse_document(encoded), generation, 0, stale=stale), encoded, status=status)


def loaded(text: str) -> LoadedDocument:
    """Return a text with its document."""
    return LoadedDocument(text.encode(), parse_document(text.encode()))
