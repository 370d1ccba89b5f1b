"""FilterWorkers, from the bytes of a request to the bytes of its response."""

from __future__ import annotations

from sidecar.errors import BadRequest, NotServing
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import decide
from sidecar.routing.failover import Seen
from sidecar.routing.state import State
from sidecar.server import requests
from sidecar.server.memo import Memo
from sidecar.table import RoutingTable, View
from sidecar.tally import Counters, Tick

# What the decisions for applications are counted under that the document does not name: anybody can make up names.
OTHER = "other"


def no_document(view: View) -> NotServing:
    """Return the error of a call that needs a routing document while there is none: it tells how the source stands."""
    status = view.status
    return NotServing(f"no routing document yet; the source is {status.state.name}: {status.error}")


class Decisions:
    """Answers FilterWorkers from the table's current State; what was answered under it is remembered.

    The addresses of the candidates are not checked to be unique: the indices of the answer tell twins apart. `counted`
    counts by application (`other` where the document does not name it), datacenter and reason.
    """

    def __init__(
        self,
        table: RoutingTable,
        *,
        max_candidates: int,
        memo_entries: int,
        memo_bytes: int,
        counted: Counters | None = None,
    ) -> None:
        self._table = table
        self._counted = counted or Counters()
        self._max_candidates = max_candidates
        self._memo_entries = memo_entries
        self._memo_bytes = memo_bytes
        self._memo = Memo(None, entries=0, size=0)

    def answer(self, request: bytes) -> bytes:
        """Return the response to a request, both as bytes. Raises BadRequest and NotServing."""
        view = self._table.view
        state = view.state
        if state is None:
            raise no_document(view)
        memo = self._memo
        if memo.state is not state:
            memo = self._memo = Memo(state, entries=self._memo_entries, size=self._memo_bytes)
        response = memo.find(request)
        if response is None:
            response, count, seen = self._decide(state, request)
            count()
            if seen is None or state.expects(seen):
                memo.remember(request, response, count)
            else:
                # Whoever asks the same again shows the same again: so it is known how long it lasts.
                self._table.observe(seen)
        return response

    def _decide(self, state: State, request: bytes) -> tuple[bytes, Tick, Seen | None]:
        most = self._max_candidates
        requests.check_candidates(request, most)
        asked = requests.read(pb.FilterWorkersRequest, request)
        app, job, instance = asked.app, asked.job, asked.instance
        if not app:
            raise BadRequest("app", "found nothing, expected the application's id or name")
        if len(app) > requests.MAX_NAME or len(job) > requests.MAX_NAME or len(instance) > requests.MAX_NAME:
            for field, name in (("app", app), ("job", job), ("instance", instance)):
                requests.check_name(field, name)
        # As a list: each access to the message's own sequence makes the candidate anew.
        candidates = list(asked.candidates)
        if len(candidates) > most:
            raise requests.too_many_candidates(most)
        aliases = tuple(asked.app_aliases)
        if aliases:
            requests.check_names("app_aliases", aliases, requests.MAX_ALIASES)
        decision = decide(state, app, job, instance, candidates, aliases)
        indices = decision.indices
        response = pb.FilterWorkersResponse(
            addresses=() if asked.indices_only else [candidates[index].address for index in indices],
            indices=indices,
            datacenter=decision.datacenter,
            reason=decision.reason.value,  # type: ignore[arg-type]  # the stubs know enum members, the runtime numbers
            revision=state.document.revision,
            generation=state.generation,
            stale=state.stale,
        ).SerializeToString()
        app = state.application((app, *aliases))
        known = app if app in state.document.apps else OTHER
        return response, self._counted.tick(known, decision.datacenter, decision.reason.name), decision.seen
