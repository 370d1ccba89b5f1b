"""Views are rolled out in steps, whatever worker processes do: none decides by less than any watcher knows."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.view import View
from sidecar.workers.messages import ActivateView, AnnounceView, Command, LoadDocument, StartListening
from sidecar.workers.rollout import Rollout
from tests.views import NOTHING, view_of

TEXTS = (b"dc1", b"dc2", b"dc3")


class FakeWorker:
    """Behaves as a worker process and the sidecar's end of it: commands queue, and are executed one by one."""

    def __init__(self) -> None:
        self.joined = False
        self.applied = -1
        self.listening = False
        self.decides = 0
        self.announced = 0
        self._commands: deque[tuple[Command, int]] = deque()
        self._sent = ["", ""]
        self._documents = ["", ""]

    def send(self, command: Command, *, number: int = 0) -> None:
        self._commands.append((command, number))
        match command:
            case LoadDocument(revision):
                self._sent[1] = revision
            case ActivateView(decides) if decides:
                self._sent[0] = decides.revision

    def has_document(self, revision: str) -> bool:
        return revision in self._sent

    def is_loading(self, revision: str) -> bool:
        return any(isinstance(command, LoadDocument) and command.revision == revision for command, _ in self._commands)

    def step(self) -> None:
        """Execute one command."""
        if not self._commands:
            return
        command, number = self._commands.popleft()
        match command:
            case LoadDocument(revision):
                self._documents[1] = revision
            case ActivateView(decides):
                if decides is not None:
                    assert decides.revision in self._documents, "a document that it does not have"
                    self._documents[0] = decides.revision
                    self.decides = decides.generation
                self.applied = number
                if not self.joined:
                    # As the supervisor does; StartListening comes behind the commands that were sent before.
                    self.joined = True
                    self.send(StartListening())
            case StartListening():
                self.listening = True
            case AnnounceView():
                self.announced = self.decides

    @property
    def idle(self) -> bool:
        return not self._commands


def view(generation: int, text: bytes) -> View:
    """Return a view of a document."""
    return view_of(State(parse_document(text), generation, 1), text)


# Of these one is drawn: mostly steps, seldom a replacement.
KINDS = ["step"] * 12 + ["target", "target", "preload", "replace"]
moves = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2)), min_size=40, max_size=80)


@settings(max_examples=300, deadline=None)
@given(moves)
def test_nobody_is_behind_what_a_watcher_knows(moves: list[tuple[str, int]]) -> None:
    """At every moment each listening process decides by what any watcher knows, or newer; at last all by the newest."""
    rollout = Rollout(NOTHING)
    workers = [FakeWorker() for _ in range(3)]
    for worker in workers:
        rollout.add(worker)
    generation = 0
    for move, which in moves:
        match move:
            case "step":
                workers[which].step()
            case "replace":
                workers[which] = FakeWorker()
                rollout.add(workers[which])
            case "target":
                generation += 1
                rollout.set_target(view(generation, TEXTS[which]))
            case "preload":
                rollout.preload(LoadDocument(parse_document(TEXTS[which]).revision, TEXTS[which]))
        rollout.advance(workers)
        known = max(worker.announced for worker in workers)
        assert all(worker.decides >= known for worker in workers if worker.listening)
    for _ in range(20):
        for worker in workers:
            while not worker.idle:
                worker.step()
            rollout.advance(workers)
    assert {worker.decides for worker in workers} == {generation}


def test_a_view_waits_until_all_have_parsed_its_document() -> None:
    """While one process still parses, none activates the view; one that has not joined holds up nobody."""
    rollout = Rollout(NOTHING)
    quick, slow, starting = FakeWorker(), FakeWorker(), FakeWorker()
    workers = [quick, slow, starting]
    for worker in workers:
        rollout.add(worker)
    for worker in (quick, slow):
        while not worker.idle:
            worker.step()
    rollout.set_target(view(1, b"dc1"))
    rollout.advance(workers)
    while not quick.idle:
        quick.step()
    rollout.advance(workers)
    assert quick.decides == 0
    assert rollout.is_loading(parse_document(b"dc1").revision, workers)
    slow.step()
    rollout.advance(workers)
    assert not rollout.is_loading(parse_document(b"dc1").revision, workers)
    for worker in (quick, slow):
        worker.step()
        assert worker.decides == 1
        assert worker.announced == 0
    rollout.advance(workers)
    quick.step()
    assert quick.announced == 1
