"""Worker processes that answer when they like, come and go: none decides by less than what any watcher knows."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.lifecycle import SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.table import View
from sidecar.workers.messages import ActivateView, AnnounceView, Command, LoadDocument, StartListening
from sidecar.workers.rollout import Rollout

TEXTS = (b"dc1", b"dc2", b"dc3")


class FakeWorker:
    """Keeps the contract of a worker process and of its link: orders wait, and are carried out one by one."""

    def __init__(self) -> None:
        self.member = False
        self.applied = -1
        self.listening = False
        self.decides = 0
        self.announced = 0
        self._orders: deque[tuple[Command, int]] = deque()
        self._sent = ["", ""]
        self._documents = ["", ""]

    def tell(self, order: Command, *, number: int = 0) -> None:
        self._orders.append((order, number))
        match order:
            case LoadDocument(revision):
                self._sent[1] = revision
            case ActivateView(decides) if decides:
                self._sent[0] = decides.revision

    def holds(self, revision: str) -> bool:
        return revision in self._sent

    def reads(self, revision: str) -> bool:
        return any(isinstance(order, LoadDocument) and order.revision == revision for order, _ in self._orders)

    def step(self) -> None:
        """Carry out one order."""
        if not self._orders:
            return
        order, number = self._orders.popleft()
        match order:
            case LoadDocument(revision):
                self._documents[1] = revision
            case ActivateView(decides):
                if decides is not None:
                    assert decides.revision in self._documents, "a document that it does not have"
                    self._documents[0] = decides.revision
                    self.decides = decides.generation
                self.applied = number
                if not self.member:
                    # As the crew does: it is waited for, and told to listen, which comes after what it was told before.
                    self.member = True
                    self.tell(StartListening())
            case StartListening():
                self.listening = True
            case AnnounceView():
                self.announced = self.decides

    @property
    def idle(self) -> bool:
        return not self._orders


def view(generation: int, text: bytes) -> View:
    """Return a view of a document."""
    return View(State(parse_document(text), generation, 1), text, SourceStatus())


# Of these one is drawn: mostly steps, seldom a replacement.
KINDS = ["step"] * 12 + ["want", "want", "announce", "replace"]
moves = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2)), min_size=40, max_size=80)


@settings(max_examples=300, deadline=None)
@given(moves)
def test_nobody_is_behind_what_a_watcher_knows(moves: list[tuple[str, int]]) -> None:
    """At every moment: all that take calls decide by what any watcher was told, or by more; and all get there."""
    rollout = Rollout(View(None, b"", SourceStatus()))
    workers = [FakeWorker() for _ in range(3)]
    for worker in workers:
        rollout.welcome(worker)
    generation = 0
    for move, which in moves:
        match move:
            case "step":
                workers[which].step()
            case "replace":
                workers[which] = FakeWorker()
                rollout.welcome(workers[which])
            case "want":
                generation += 1
                rollout.want(view(generation, TEXTS[which]))
            case "announce":
                rollout.announce(LoadDocument(parse_document(TEXTS[which]).revision, TEXTS[which]))
        rollout.go_on(workers)
        known = max(worker.announced for worker in workers)
        assert all(worker.decides >= known for worker in workers if worker.listening)
    for _ in range(20):
        for worker in workers:
            while not worker.idle:
                worker.step()
            rollout.go_on(workers)
    assert {worker.decides for worker in workers} == {generation}


def test_a_view_waits_until_all_have_read_its_document() -> None:
    """While one still reads, nobody puts the view in force; one that nobody waits for holds up nobody."""
    rollout = Rollout(View(None, b"", SourceStatus()))
    quick, slow, starting = FakeWorker(), FakeWorker(), FakeWorker()
    workers = [quick, slow, starting]
    for worker in workers:
        rollout.welcome(worker)
    for worker in (quick, slow):
        while not worker.idle:
            worker.step()
    rollout.want(view(1, b"dc1"))
    rollout.go_on(workers)
    while not quick.idle:
        quick.step()
    rollout.go_on(workers)
    assert quick.decides == 0
    assert rollout.reads(parse_document(b"dc1").revision, workers)
    slow.step()
    rollout.go_on(workers)
    assert not rollout.reads(parse_document(b"dc1").revision, workers)
    for worker in (quick, slow):
        worker.step()
        assert worker.decides == 1
        assert worker.announced == 0
    rollout.go_on(workers)
    quick.step()
    assert quick.announced == 1
