"""The state of the source, as one table of transitions: nothing else decides it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from sidecar.errors import DocumentRejected
from sidecar.sources.base import Gray


class SourceState(IntEnum):
    """The state of the source; names and numbers are those of the API's `SourceState`."""

    CONNECTING = 1
    SYNCED = 2
    DISCONNECTED = 3
    REJECTED = 4
    MISSING = 5


class SourceEvent(Enum):
    """The events of a source."""

    ACCEPTED = "its text was read and is a valid document"
    REFUSED = "its text was read and is not a valid document"
    ABSENT = "it was asked, and there is no such key"
    LOST = "it cannot be asked"


_S = SourceState
# A source that was never read stays CONNECTING while it cannot be asked; every other state then is DISCONNECTED.
_TRANSITIONS: dict[SourceState, dict[SourceEvent, SourceState]] = {
    state: {
        SourceEvent.ACCEPTED: _S.SYNCED,
        SourceEvent.REFUSED: _S.REJECTED,
        SourceEvent.ABSENT: _S.MISSING,
        SourceEvent.LOST: _S.CONNECTING if state is _S.CONNECTING else _S.DISCONNECTED,
    }
    for state in SourceState
}


@dataclass(frozen=True, slots=True)
class RejectedDocument:
    """A text that was refused: its revision, the error, when (Unix nanoseconds), and the text itself."""

    revision: str
    error: DocumentRejected
    at_ns: int
    text: bytes


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The state of the source since `since_ns`; times are Unix nanoseconds, 0 for never.

    `error` is the source's own text on why the state is not SYNCED, "" before its first report. `applied_at_ns` is when
    the document in force was taken over, `confirmed_at_ns` when the source last answered with that very document.
    `refusal` is set as long as the newest text is a refused one, `gray` as long as it is a gray version: since
    `gray_since_ns`.
    """

    state: SourceState = SourceState.CONNECTING
    error: str = ""
    version: str = ""
    since_ns: int = 0
    applied_at_ns: int = 0
    confirmed_at_ns: int = 0
    from_snapshot: bool = False
    refusal: RejectedDocument | None = None
    gray: Gray | None = None
    gray_since_ns: int = 0

    @property
    def stale(self) -> bool:
        """True while the config center cannot be asked and an earlier document decides."""
        return self.state is SourceState.DISCONNECTED


def next_state(state: SourceState, event: SourceEvent) -> SourceState:
    """Return the state that an event leads to; every event is legal in every state."""
    return _TRANSITIONS[state][event]
