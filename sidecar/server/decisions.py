"""FilterWorkers, from the bytes of a request to the bytes of its response."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from zlib import crc32

from sidecar.counters import Increment, LabeledCounters
from sidecar.errors import BadRequest, MemoryShort
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import Reason, decide_among
from sidecar.routing.failover import Observation
from sidecar.routing.state import State
from sidecar.server import requests
from sidecar.server.app_names import AppNamesTracker
from sidecar.server.candidates import CandidateCache, RequestCandidates
from sidecar.server.large_requests import Checkpoint, LargeRequest
from sidecar.server.live_workers import LiveWorkerTracker, WorkerCounts
from sidecar.server.memo import Memo
from sidecar.server.memory_pressure import NO_PRESSURE, MemoryPressure
from sidecar.table import ViewProvider
from sidecar.trust.callers import Permit
from sidecar.wording import not_serving

# The label under which decisions for unknown applications are counted: any caller can invent names.
OTHER = "other"

# Ends an answer that must not be kept: the field `undecided`, set.
_UNDECIDED = pb.FilterWorkersResponse(undecided=True).SerializeToString()

# Begins the key of an answer for a caller whose requests do not count; no request begins with a zero byte.
_UNCOUNTED = b"\0"

# From this size on a request is answered on the thread for large ones, unless its candidates are remembered: it may
# have 2,000 candidates, and take 5 ms.
_LARGE = 32 * 1024

# What a response that is kept takes for the application's name and its workers, and for each of their datacenters.
_SHOWN = 200
_EACH = 80


_Decided = tuple[bytes, Increment, str | None, WorkerCounts, int, Observation | None]


class _StateCache:
    """Caches of one State: responses, located candidates, and the encoded ends of responses by reason."""

    __slots__ = ("candidates", "endings", "responses", "state")

    def __init__(self, state: State | None, *, entries: int, size: int) -> None:
        self.state = state
        # Each with what counts it, and with the workers of an application that its run shows: of none, if nothing
        # depends on the answer. The last two are for permits: the names in the request, and how many candidates it has.
        self.responses: Memo[tuple[bytes, Increment, str | None, WorkerCounts, int, tuple[str, ...], int]] = Memo(
            entries=entries, size=size // 2
        )
        self.endings: dict[tuple[Reason, bool], bytes] = {}
        if state is not None:
            self.candidates = CandidateCache(state.locator, entries=entries, size=size // 2)


class DecisionHandler:
    """Answers FilterWorkers from the table's current State, and caches the answers under it.

    The addresses of the candidates need not be unique: the indices of the answer distinguish duplicates. `counted`
    counts by application (`other` where the document does not name it), datacenter and reason.

    Only requests with `dispatch` leave traces: observations of failover, the workers of the applications
    (`live_workers`), the names that they used (`app_names`), and the count of NO_WORKERS.
    """

    def __init__(
        self,
        table: ViewProvider,
        *,
        max_candidates: int,
        memo_entries: int,
        memo_bytes: int,
        counted: LabeledCounters | None = None,
        pressure: MemoryPressure = NO_PRESSURE,
    ) -> None:
        self.live_workers = LiveWorkerTracker()
        self.app_names = AppNamesTracker()
        self._table = table
        self._counted = counted or LabeledCounters()
        self._pressure = pressure
        self._max_candidates = max_candidates
        self._memo_entries = memo_entries
        self._memo_bytes = memo_bytes
        self._remembered = _StateCache(None, entries=0, size=0)

    def answer(self, request: bytes, permit: Permit | None = None) -> bytes | LargeRequest:
        """Return the response to a request, both as bytes; for a large one that is not known, the work that makes it.

        `permit` is what the caller may do, None for anything; what it raises is raised, and BadRequest, NotServing, and
        MemoryShort for a large one while memory is short.
        """
        return self._answer(request, permit, None)

    def _answer(self, request: bytes, permit: Permit | None, checkpoint: Checkpoint | None) -> bytes | LargeRequest:
        view = self._table.view
        state = view.state
        if state is None:
            raise not_serving(view)
        remembered = self._remembered
        if remembered.state is not state:
            remembered = _StateCache(state, entries=self._memo_entries, size=self._memo_bytes)
            self._remembered = remembered
            self.live_workers.expect(len(state.document.apps))
        # What a caller may not count leaves no traces: it is another answer.
        key = request if permit is None or permit.dispatch else _UNCOUNTED + request
        known = remembered.responses.find(key)
        if known is not None:
            response, count, app, workers, run, names, size = known
            if permit is not None:
                if names not in permit.allowed:
                    permit.check_names(names)
                if size > permit.candidates:
                    raise permit.too_many_candidates(size)
            count()
            if app is not None:
                self.live_workers.note(app, workers, run)
            return response
        if checkpoint is None:
            if len(request) >= _LARGE and not remembered.candidates.has(request):
                if self._pressure.high:
                    raise MemoryShort
                return LargeRequest(len(request), partial(self._answer_large, request, permit))
            checkpoint = _no_checkpoint
        asked, decided = self._decide(state, remembered, request, permit, checkpoint)
        response, count, app, workers, run, observation = decided
        count()
        if app is not None:
            self.live_workers.note(app, workers, run)
        if observation is not None:
            # Not remembered: the same request observes the same again, which shows how long it lasts.
            self._table.observe(observation)
            return response + _UNDECIDED
        if remembered.responses.comes_again(key):
            size = len(request) + len(response) + _SHOWN + _EACH * len(workers)
            remembered.responses.keep(key, (response, count, app, workers, run, *asked), size)
        return response

    def _answer_large(self, request: bytes, permit: Permit | None, checkpoint: Checkpoint) -> bytes:
        response = self._answer(request, permit, checkpoint)
        assert isinstance(response, bytes), "with a checkpoint it is answered here"
        return response

    def _decide(
        self,
        state: State,
        remembered: _StateCache,
        request: bytes,
        permit: Permit | None,
        checkpoint: Checkpoint,
    ) -> tuple[tuple[tuple[str, ...], int], _Decided]:
        """Return the names and the number of candidates of a request, and its answer."""
        asked, candidates = remembered.candidates.read(request, self._max_candidates, checkpoint)
        names = (asked.app, *candidates.aliases)
        if permit is not None:
            permit.check_names(names)
            if candidates.count > permit.candidates:
                raise permit.too_many_candidates(candidates.count)
        dispatch = candidates.dispatch and (permit is None or permit.dispatch)
        return (names, candidates.count), self._decided(state, remembered, asked, candidates, dispatch=dispatch)

    def _decided(
        self,
        state: State,
        remembered: _StateCache,
        asked: pb.FilterWorkersRequest,
        candidates: RequestCandidates,
        *,
        dispatch: bool,
    ) -> _Decided:
        """Return a response, what counts it, and the workers of the application, if they count, with the run.

        The last is what the decision observed, None where it adds nothing new.
        """
        app, job, instance, aliases = asked.app, asked.job, asked.instance, candidates.aliases
        if not app:
            raise BadRequest("app", "found nothing, expected the application's id or name")
        if len(app) > requests.MAX_NAME or len(job) > requests.MAX_NAME or len(instance) > requests.MAX_NAME:
            for field, name in (("app", app), ("job", job), ("instance", instance)):
                requests.check_name(field, name)
        if dispatch:
            self.app_names.note((app, *aliases))
        decision = decide_among(state, app, job, instance, candidates.where, aliases)
        reason = decision.reason
        kind = reason, decision.for_instance
        ending = remembered.endings.get(kind)
        if ending is None:
            ending = remembered.endings[kind] = _ending(state, *kind)
        response = candidates.chosen(decision) + ending
        named = state.application((app, *aliases))
        if not dispatch and reason is Reason.NO_WORKERS:
            # An alert is raised for it: a question that dispatches nothing raises none.
            return response, _uncounted, None, candidates.workers, 0, None
        known = named if named in state.document.apps else OTHER
        increment = self._counted.increment(known, decision.datacenter, reason.name)
        if not dispatch:
            return response, increment, None, candidates.workers, 0, None
        run = _run(job, instance)
        observation = decision.observation
        if observation is not None:
            known_already = state.expects(observation)
            observation = None if known_already else replace(observation, request=run or time.monotonic_ns())
        return response, increment, named, candidates.workers, run, observation


def _no_checkpoint() -> None:
    """Do not yield: the work is short."""


def _uncounted() -> None:
    """Count nothing."""


def _run(job: str, instance: str) -> int:
    """Return a number that is equal for requests of one run, those that dispatch the same instance again; else 0."""
    return crc32(f"{job}\n{instance}".encode()) if instance else 0


def _ending(state: State, reason: Reason, for_instance: bool) -> bytes:  # noqa: FBT001 - a field of the response
    """Return the encoded end of the responses of one reason under a State: the fields after `datacenter`."""
    return pb.FilterWorkersResponse(
        reason=reason.value,  # type: ignore[arg-type]  # the stubs know enum members, the runtime numbers
        revision=state.document.revision,
        generation=state.generation,
        stale=state.stale,
        for_instance=for_instance,
    ).SerializeToString()
