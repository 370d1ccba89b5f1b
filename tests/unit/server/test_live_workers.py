"""The workers that requests showed, remembered for operators."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from sidecar.counters import LabeledCounters
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.failover import Observation
from sidecar.server.decisions import DecisionHandler
from sidecar.server.large_requests import made
from sidecar.server.live_workers import LiveWorkerTracker, WorkerCounts, count_workers
from sidecar.table import RoutingTable
from tests.harness import a_request
from tests.views import view


def _put_in_force(table: RoutingTable, text: bytes, generation: int) -> None:
    table.view = view(text, generation=generation)


def _decisions(table: RoutingTable) -> DecisionHandler:
    return DecisionHandler(table, max_candidates=100, memo_entries=100, memo_bytes=100_000)


def test_the_newest_request_is_remembered_also_when_its_answer_was() -> None:
    """Each request shows its workers, answered from memory or not, for its application only, until a newer one."""
    table = RoutingTable()
    _put_in_force(table, b"default: dc1", 1)
    decisions = _decisions(table)
    before = time.time_ns()
    assert decisions.live_workers.last("billing") == ({}, 0)
    old = a_request("billing", candidates={"dc1": 2}, dispatch=True).SerializeToString()
    new = a_request("billing", candidates={"dc1": 1, "dc2": 3}, dispatch=True).SerializeToString()
    for request, workers in ((old, {"dc1": 2}), (new, {"dc1": 1, "dc2": 3})) * 4:
        decisions.answer(request)
        seen, at_ns = decisions.live_workers.last("billing")
        assert seen == workers
        assert before <= at_ns <= time.time_ns()
    assert decisions.live_workers.last("other") == ({}, 0)


def test_a_question_shows_no_workers() -> None:
    """A request that dispatches nothing changes neither the workers that are known nor the count of NO_WORKERS."""
    table = RoutingTable()
    _put_in_force(table, b"default: dc1", 1)
    counted = LabeledCounters()
    decisions = DecisionHandler(table, max_candidates=100, memo_entries=100, memo_bytes=100_000, counted=counted)
    decisions.answer(a_request(candidates={"dc1": 1}, dispatch=True).SerializeToString())
    for _ in range(4):
        decisions.answer(a_request(candidates={"dc1": 9}).SerializeToString())
        decisions.answer(a_request(candidates={}).SerializeToString())
    assert decisions.live_workers.last("billing")[0] == {"dc1": 1}
    assert dict(counted.totals()) == {("other", "dc1", "ACTIVE"): 5}
    decisions.answer(a_request(candidates={}, dispatch=True).SerializeToString())
    assert dict(counted.totals())[("other", "", "NO_WORKERS")] == 1


def test_only_dispatches_are_evidence() -> None:
    """A dispatch that shows something new is observed, and its answer marked; a question never is."""
    observed: list[Observation] = []

    class Observing(RoutingTable):
        def observe(self, observation: Observation) -> None:
            observed.append(observation)

    table = Observing()
    _put_in_force(table, b"{default: {active: dc1, backups: [dc2], failover: {back: manual}}, apps: {billing: {}}}", 1)
    decisions = _decisions(table)

    def undecided(request: pb.FilterWorkersRequest) -> bool:
        return pb.FilterWorkersResponse.FromString(made(decisions.answer(request.SerializeToString()))).undecided

    for _ in range(4):
        assert not undecided(a_request(candidates={"dc2": 1}))
        assert not undecided(a_request(candidates={"dc1": 1}, dispatch=True))
    assert observed == []
    for instance in ("1", "1", "2", "", ""):
        assert undecided(a_request(candidates={"dc2": 1}, instance=instance, dispatch=True))
    requests = [each.request for each in observed]
    # Those of one run are one piece of evidence; without an instance, each is a run.
    assert requests[0] == requests[1]
    assert len(set(requests)) == 4


def test_it_outlives_the_document_and_knows_the_documents_names() -> None:
    """A new document forgets nothing; an application is remembered under the name that the document has for it."""
    table = RoutingTable()
    _put_in_force(table, b"{default: dc1, apps: {billing: dc2}}", 1)
    decisions = _decisions(table)
    asked = a_request("42", candidates={"dc1": 2}, dispatch=True)
    asked.app_aliases.append("billing")
    asked.candidates.append(pb.Worker(address="10.9.9.9:1"))
    decisions.answer(asked.SerializeToString())
    _put_in_force(table, b"default: dc3", 2)
    decisions.answer(a_request("other", dispatch=True).SerializeToString())
    assert decisions.live_workers.last("billing")[0] == {"dc1": 2, "": 1}
    assert decisions.live_workers.last("42")[0] == {}


def test_made_up_names_take_bounded_room_and_push_out_the_oldest() -> None:
    """As many applications as the document has and thousands more are kept, the newest ones, and twice that at most."""
    tracker = LiveWorkerTracker()
    tracker.expect(10)
    for number in range(20_000):
        tracker.note(str(number), {"dc1": number})
    known = [number for number in range(20_000) if tracker.last(str(number))[1]]
    assert set(range(20_000 - 4106, 20_000)) <= set(known)
    assert len(known) <= 2 * 4107
    assert len(count_workers({str(number): (number,) for number in range(1000)})) == 64
    assert count_workers({"dc1": (0, 2), "x" * 300: (1,)}) == {"dc1": 2}


def test_it_is_bounded_in_bytes() -> None:
    """Applications with many datacenters of long names take no more memory than 10 MiB, however many there are."""
    tracker = LiveWorkerTracker()
    tracker.expect(100_000)
    tracemalloc.start()
    for number in range(3000):
        app = str(number).ljust(250, "x")
        tracker.note(app, count_workers({f"{number}-{n}".ljust(63, "y"): (0,) for n in range(64)}))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 10 * 1024 * 1024
    assert tracker.last(str(2999).ljust(250, "x"))[1]


class _Clock:
    """Monotonic and wall time that a test sets, in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("sidecar.server.live_workers.time.monotonic_ns", lambda: round(self.now * 1e9))


def _shown(tracker: LiveWorkerTracker, app: str = "billing") -> tuple[WorkerCounts, int]:
    seen = tracker.seen(app)
    assert seen is not None
    return seen.fewest, seen.runs


def test_several_runs_over_a_time_are_evidence_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three different runs over a second; the same run again, and many at once, prove nothing."""
    clock, tracker = _Clock(monkeypatch), LiveWorkerTracker()
    for _ in range(10):
        tracker.note("billing", {"dc1": 2}, run=7)
    assert _shown(tracker) == ({"dc1": 2}, 1)
    for run in range(1, 10):
        tracker.note("billing", {"dc1": 2}, run=run)
    assert _shown(tracker) == ({"dc1": 2}, 2)
    clock.now += 1
    tracker.note("billing", {"dc1": 2}, run=10)
    assert _shown(tracker) == ({"dc1": 2}, 3)


def test_a_request_that_shows_fewer_workers_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More workers than that are believed again once there is evidence of them; the newest are shown all the time."""
    clock, tracker = _Clock(monkeypatch), LiveWorkerTracker()

    def runs(workers: dict[str, int]) -> None:
        for _ in range(4):
            clock.now += 0.5
            tracker.note("billing", workers)

    runs({"dc1": 3})
    tracker.note("billing", {"dc1": 3, "dc2": 9})
    assert tracker.last("billing")[0] == {"dc1": 3, "dc2": 9}
    assert _shown(tracker)[0] == {"dc1": 3}
    tracker.note("billing", {"dc1": 1})
    assert _shown(tracker)[0] == {"dc1": 1}
    runs({"dc1": 3, "dc2": 9})
    runs({"dc1": 3, "dc2": 9})
    assert _shown(tracker) == ({"dc1": 3, "dc2": 9}, 3)


def test_what_is_known_outlives_a_generation_of_the_memo() -> None:
    """A flood of other names does not make evidence begin anew."""
    tracker = LiveWorkerTracker()
    tracker.note("billing", {"dc1": 2, "dc2": 1}, run=1)
    for number in range(5000):
        tracker.note(f"other-{number}", {})
    tracker.note("billing", {"dc1": 2}, run=2)
    assert _shown(tracker) == ({"dc1": 2}, 2)
