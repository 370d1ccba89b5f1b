"""Large requests, answered on a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sidecar.errors import BadRequest, TooManyCalls
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.server.decisions import DecisionHandler
from sidecar.server.large_requests import LargeRequest, LargeRequests, made
from sidecar.table import RoutingTable
from tests.harness import a_request
from tests.views import view
from tests.waiting import eventually


def test_the_room_for_waiting_ones_is_bounded() -> None:
    """What exceeds it is refused at once; a single one always has room, and room that is free again is used."""
    large = LargeRequests(room=10)
    begun, release = threading.Event(), threading.Event()

    def job(_: Callable[[], None]) -> None:
        begun.set()
        release.wait(10)

    large.submit(100, job)
    assert begun.wait(10)
    with pytest.raises(TooManyCalls, match="too many large requests wait"):
        large.submit(1, job)
    release.set()
    eventually(lambda: _accepts(large), "room again")


def _accepts(large: LargeRequests) -> bool:
    try:
        large.submit(9, lambda _: None)
    except TooManyCalls:
        return False
    return True


def test_what_the_work_raises_is_raised_where_it_is_awaited() -> None:
    """And the thread goes on with the next."""

    def refuse(_: Callable[[], None]) -> bytes:
        raise BadRequest("tag", "too long")

    large = LargeRequests()
    with pytest.raises(BadRequest, match="tag"):
        large.answer(LargeRequest(7, refuse))
    assert large.answer(LargeRequest(7, lambda _: b"answer")) == b"answer"


def test_only_large_requests_that_are_not_known_are_deferred() -> None:
    """A small one is answered at once, a large one by work with checkpoints, and the same workers again at once."""
    table = RoutingTable()
    table.view = view(b"default: dc1")
    decisions = DecisionHandler(table, max_candidates=10_000, memo_entries=100, memo_bytes=10_000_000)
    assert isinstance(decisions.answer(a_request().SerializeToString()), bytes)
    request = a_request(candidates={"dc1": 2000})
    calls: list[int] = []
    for _ in range(2):
        calls.clear()
        deferred = decisions.answer(request.SerializeToString())
        assert isinstance(deferred, LargeRequest)
        assert deferred.size == request.ByteSize()
        answer = deferred.make(lambda: calls.append(1))
        assert calls
        assert len(pb.FilterWorkersResponse.FromString(made(answer)).indices) == 2000
    request.job = "another"
    assert isinstance(decisions.answer(request.SerializeToString()), bytes)
