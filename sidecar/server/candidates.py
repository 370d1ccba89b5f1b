"""The candidates of requests, located and encoded once: schedulers ask about the same workers again and again."""

from __future__ import annotations

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import Decision
from sidecar.routing.location import Checkpoint, Locator
from sidecar.server import requests
from sidecar.server.live_workers import count_workers
from sidecar.server.memo import Memo

# Memory of kept candidates beside their encoded bytes: fixed, and for each candidate (measured).
_ALL = 2000
_EACH = 320
# The tags of a request's names, which encoders write before its candidates.
_NAMES = b"\x0a\x12\x1a"


class RequestCandidates:
    """The part of a request after its names: candidates located under one document, and their encoded choices."""

    __slots__ = ("_chosen", "_listed", "aliases", "count", "dispatch", "where", "workers")

    def __init__(self, asked: pb.FilterWorkersRequest, locator: Locator, checkpoint: Checkpoint) -> None:
        # As a list: each access to the message's own sequence makes a new object of the candidate.
        workers = list(asked.candidates)
        self.count = len(workers)
        self.where = locator.locate_all(workers, checkpoint)
        self.workers = count_workers(self.where.by_datacenter)
        self.aliases = tuple(asked.app_aliases)
        self.dispatch = asked.dispatch
        self._listed = () if asked.indices_only else workers
        self._chosen: dict[str, bytes] = {}

    def chosen(self, decision: Decision) -> bytes:
        """Return a response's addresses, indices and datacenter, encoded. The choice of a datacenter is kept."""
        if not decision.datacenter:
            return self._encoded(decision)
        found = self._chosen.get(decision.datacenter)
        if found is None:
            found = self._chosen[decision.datacenter] = self._encoded(decision)
        return found

    def _encoded(self, decision: Decision) -> bytes:
        listed = self._listed
        return pb.FilterWorkersResponse(
            addresses=[listed[index].address for index in decision.indices] if listed else (),
            indices=decision.indices,
            datacenter=decision.datacenter,
        ).SerializeToString()


class CandidateCache:
    """The candidates of requests under one document, by the bytes that hold them; bounded as a memo is."""

    def __init__(self, locator: Locator, *, entries: int, size: int) -> None:
        self._locator = locator
        self._memo: Memo[RequestCandidates] = Memo(entries=entries, size=size)

    def has(self, request: bytes) -> bool:
        """Return whether the candidates of a request are remembered."""
        return self._memo.find(request[_names_end(request) :]) is not None

    def read(
        self, request: bytes, most: int, checkpoint: Checkpoint = lambda: None
    ) -> tuple[pb.FilterWorkersRequest, RequestCandidates]:
        """Return a decoded request, of which only the names are sure to be set, and its candidates.

        Raises BadRequest for bytes that are no request, more than `most` candidates, and aliases beyond their bounds.
        """
        names_end = _names_end(request)
        rest = request[names_end:]
        candidates = self._memo.find(rest)
        if candidates is not None:
            return requests.read(pb.FilterWorkersRequest, request[:names_end]), candidates
        requests.check_candidates(request, most)
        asked = requests.read(pb.FilterWorkersRequest, request)
        if len(asked.candidates) > most:
            raise requests.too_many_candidates(most)
        if asked.app_aliases:
            requests.check_names("app_aliases", asked.app_aliases, requests.MAX_ALIASES)
        candidates = RequestCandidates(asked, self._locator, checkpoint)
        if self._memo.comes_again(rest) and _apart(asked, request, names_end):
            self._memo.keep(rest, candidates, len(rest) + _ALL + _EACH * len(asked.candidates))
        return asked, candidates


def _names_end(request: bytes) -> int:
    """Return where the names at the beginning of a request end: its fields `app`, `job` and `instance`."""
    at = 0
    end = len(request) - 1
    # A name of 128 bytes or more has a two-byte length, and ends the search.
    while at < end and request[at] in _NAMES and request[at + 1] < 0x80:
        at += 2 + request[at + 1]
    return at


def _apart(asked: pb.FilterWorkersRequest, request: bytes, names_end: int) -> bool:
    """Return whether all names of a request stand before `names_end`.

    Protobuf allows fields in any order, repeated or empty. Encoders write each once, in order, and omit empty ones.
    """
    names = requests.read(pb.FilterWorkersRequest, request[:names_end])
    same = (names.app, names.job, names.instance) == (asked.app, asked.job, asked.instance)
    return same and asked.ByteSize() == len(request)
