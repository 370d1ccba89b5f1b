"""What is in force, in a worker process: each view comes from the sidecar's table, none is made here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import SourceStatus
from sidecar.routing.failover import Observation
from sidecar.routing.model import RoutingDocument
from sidecar.routing.state import State
from sidecar.table import Listener, View
from sidecar.workers.messages import ActivateView, LoadDocument

# What decisions show between two reports of it; the oldest goes first.
_MOST_SEEN = 4096


class Replica:
    """Shows the view of the sidecar's table; one thread puts views in force, any thread reads `view`, `announced`.

    It holds the document in force and the one that came last. `announced` follows `view`, and listeners are called,
    when the sidecar says that all worker processes have it in force: nobody hears of a State while another process
    decides by an older one.
    """

    def __init__(self, parse: Callable[[bytes], RoutingDocument]) -> None:
        self.view = View(None, b"", SourceStatus())
        self.announced = self.view
        self._parse = parse
        self._newest: RoutingDocument | None = None
        self._listeners: list[Listener] = []
        self._seen: deque[Observation] = deque(maxlen=_MOST_SEEN)

    @property
    def patient(self) -> bool:
        """True while what decisions show is wanted soon."""
        return self.view.state is not None and self.view.state.document.patient

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change."""
        self._listeners.append(listener)

    def observe(self, seen: Observation) -> None:
        """Take what a decision showed, from any thread, without a lock."""
        self._seen.append(seen)

    def seen(self) -> list[Observation]:
        """Return what decisions have shown since the last time."""
        return [self._seen.popleft() for _ in range(len(self._seen))]

    def prepare(self, document: LoadDocument) -> None:
        """Read a document that will be in force soon. The sidecar reads it too: what it refuses never is."""
        try:
            self._newest = self._parse(document.text)
        except DocumentRejected:
            self._newest = None

    def put(self, now: ActivateView) -> None:
        """Answer from this view from now on."""
        self.view = now.view(self._state(now))

    def tell(self) -> None:
        """Tell the listeners what is in force now."""
        before, self.announced = self.announced, self.view
        for listener in self._listeners:
            listener(before, self.announced)

    def _state(self, now: ActivateView) -> State | None:
        decides, before = now.decides, self.view.state
        if decides is None or (before is not None and before.generation == decides.generation):
            return before if decides else None
        held = (before.document if before else None, self._newest)
        return decides.state(next(document for document in held if document and document.revision == decides.revision))
