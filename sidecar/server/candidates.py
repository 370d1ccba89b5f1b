"""The candidates of requests, located and encoded once: schedulers ask about the same workers again and again."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.decision import Decision
from sidecar.routing.location import Locator
from sidecar.server import requests
from sidecar.server.memo import Memo

# What a candidate takes when it is remembered: its address, its place in four sequences, its share of the responses.
_EACH = 160
# The tags of a request's names, which encoders write before its candidates.
_NAMES = b"\x0a\x12\x1a"


class Candidates:
    """What a request has beside its names: the candidates under one document, and how their choice is told."""

    __slots__ = ("_addresses", "_chosen", "aliases", "where")

    def __init__(self, asked: pb.FilterWorkersRequest, locator: Locator) -> None:
        # As a list: each access to the message's own sequence makes the candidate anew.
        workers = list(asked.candidates)
        self.where = locator.whereabouts(workers)
        self.aliases = tuple(asked.app_aliases)
        self._addresses: Sequence[str] | None = None if asked.indices_only else [worker.address for worker in workers]
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
        addresses = self._addresses
        return pb.FilterWorkersResponse(
            addresses=() if addresses is None else [addresses[index] for index in decision.indices],
            indices=decision.indices,
            datacenter=decision.datacenter,
        ).SerializeToString()


class KnownCandidates:
    """The candidates of requests under one document, by the bytes that hold them; bounded as a memo is."""

    def __init__(self, locator: Locator, *, entries: int, size: int) -> None:
        self._locator = locator
        self._memo: Memo[Candidates] = Memo(entries=entries, size=size)

    def find(self, request: bytes) -> tuple[pb.FilterWorkersRequest, Candidates] | None:
        """Return a request's names, as a message of nothing else, with its candidates, if those are known.

        Raises BadRequest for names that are no text.
        """
        names_end = _names_end(request)
        candidates = self._memo.find(request[names_end:])
        return None if candidates is None else (requests.read(pb.FilterWorkersRequest, request[:names_end]), candidates)

    def learn(self, request: bytes, asked: pb.FilterWorkersRequest) -> Candidates:
        """Return the candidates of a request, which `asked` is decoded from, and keep them.

        They are kept only where the request is as encoders write it: else names might stand among the candidates.
        """
        candidates = Candidates(asked, self._locator)
        names_end = _names_end(request)
        names = requests.read(pb.FilterWorkersRequest, request[:names_end])
        apart = (names.app, names.job, names.instance) == (asked.app, asked.job, asked.instance)
        if apart and asked.ByteSize() == len(request):
            size = len(request) - names_end + _EACH * len(candidates.where.datacenters)
            self._memo.remember(request[names_end:], candidates, size)
        return candidates


def _names_end(request: bytes) -> int:
    """Return where the names at the beginning of a request end: its fields `app`, `job` and `instance`."""
    at = 0
    end = len(request) - 1
    # A name of 128 bytes or more has a longer length, and is taken to be none.
    while at < end and request[at] in _NAMES and request[at + 1] < 0x80:
        at += 2 + request[at + 1]
    return at
