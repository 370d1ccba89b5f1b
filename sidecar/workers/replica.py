"""The view that is in force in a worker process: each comes from the sidecar's table, none is made here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import SourceStatus
from sidecar.routing.failover import Observation
from sidecar.routing.model import RoutingDocument
from sidecar.routing.state import State
from sidecar.table import Listener
from sidecar.view import View
from sidecar.workers.messages import ActivateView, LoadDocument

# Observations between two reports; of too many the oldest are dropped.
_MAX_OBSERVATIONS = 4096


class Replica:
    """Holds the view of the sidecar's table; one thread puts views in force, any thread reads `view`, `announced`.

    It keeps the document in force and the one that came last. `announced` follows `view`, and listeners are called,
    when the sidecar says that all worker processes have it in force: no watcher sees a State while another process
    decides by an older one.
    """

    def __init__(self, parse: Callable[[bytes], RoutingDocument]) -> None:
        self.view = View(None, SourceStatus())
        self.announced = self.view
        self._parse = parse
        self._newest: RoutingDocument | None = None
        self._listeners: list[Listener] = []
        self._observations: deque[Observation] = deque(maxlen=_MAX_OBSERVATIONS)

    @property
    def patient(self) -> bool:
        """True while observations are wanted soon."""
        return self.view.state is not None and self.view.state.document.patient

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the view before and after each change."""
        self._listeners.append(listener)

    def observe(self, observation: Observation) -> None:
        """Take the observation of a decision, from any thread, without a lock."""
        self._observations.append(observation)

    def take_observations(self) -> list[Observation]:
        """Return the observations since the last time."""
        return [self._observations.popleft() for _ in range(len(self._observations))]

    def prepare(self, document: LoadDocument) -> None:
        """Parse a document that will be in force soon. The sidecar parses it too: one that it refuses never will."""
        try:
            self._newest = self._parse(document.text)
        except DocumentRejected:
            self._newest = None

    def put(self, now: ActivateView) -> None:
        """Answer from this view from now on."""
        self.view = now.view(self._state(now))

    def announce(self) -> None:
        """Call the listeners with the view that is in force now."""
        before, self.announced = self.announced, self.view
        for listener in self._listeners:
            listener(before, self.announced)

    def _state(self, now: ActivateView) -> State | None:
        decides, before = now.decides, self.view.state
        if decides is None or (before is not None and before.generation == decides.generation):
            return before if decides else None
        held = (before.document if before else None, self._newest)
        return decides.state(next(document for document in held if document and document.revision == decides.revision))
