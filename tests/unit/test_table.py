"""What is in force: swapped whole, and never lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.errors import DocumentRejected
from sidecar.lifecycle import SourceState
from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.scalars import SECOND_NS
from sidecar.routing.wording import outage_text
from sidecar.sources.base import Content, Missing, Report, Unreachable
from sidecar.table import RoutingTable
from sidecar.view import LoadedDocument, View
from sidecar.wording import source_text
from tests.waiting import eventually

RAMP = b'default: {ramp: {from: dc1, to: dc2, start: "1970-01-01T00:01:00Z", duration: 60s}}'
DRILL = b'default: dc1\ndrills: [{datacenter: dc1, start: "1970-01-01T00:00:30Z", until: "1970-01-01T00:01:30Z"}]'
GOOD = (b"dc1", b"dc2", RAMP, DRILL)
BAD = (b"", b"default: {activ: dc1}", b"\xff")


class Clock:
    """A clock that tests set."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class TableMachine(RuleBasedStateMachine):
    """Sends a table whatever may happen, in any order, and knows what must be in force."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(40 * SECOND_NS)
        self.table = RoutingTable(clock=self.clock)
        self.heard: list[tuple[View, View]] = []
        self.table.subscribe(lambda before, after: self.heard.append((before, after)))
        self.waiting: list[Report] = []
        self.good: bytes | None = None
        self.newest_is_bad = False
        self.from_snapshot = False
        self.state = SourceState.CONNECTING
        self.generation = 0

    @initialize(text=st.sampled_from((None, *GOOD)))
    def restore(self, text: bytes | None) -> None:
        if text is not None:
            self.table.restore(LoadedDocument(text, parse_document(text)), applied_at_ns=1)
            self.good, self.from_snapshot, self.state = text, True, SourceState.DISCONNECTED

    @rule(text=st.sampled_from(GOOD + BAD))
    def content(self, text: bytes) -> None:
        self.waiting = [Content(text, f"version of {text!r}")]
        self.table.deliver(self.waiting[0])

    @rule()
    def missing(self) -> None:
        self.waiting = [Missing("no such key")]
        self.table.deliver(self.waiting[0])

    @rule(reason=st.sampled_from(["timeout", "refused"]))
    def unreachable(self, reason: str) -> None:
        if self.waiting and isinstance(self.waiting[-1], Unreachable):
            self.waiting.pop()
        self.waiting.append(Unreachable(reason))
        self.table.deliver(self.waiting[-1])

    @rule(seconds=st.integers(-100, 100))
    def the_clock_moves(self, seconds: int) -> None:
        self.clock.now_ns = max(0, self.clock.now_ns + seconds * SECOND_NS)

    @rule()
    def the_thread_wakes(self) -> None:
        for report in self.waiting:
            match report:
                case Content(text, _) if text in GOOD:
                    self.good, self.newest_is_bad, self.from_snapshot = text, False, False
                    self.state = SourceState.SYNCED
                case Content():
                    self.newest_is_bad, self.state = True, SourceState.REJECTED
                case Missing():
                    self.newest_is_bad, self.state = False, SourceState.MISSING
                case Unreachable() if self.state is not SourceState.CONNECTING:
                    self.state = SourceState.DISCONNECTED
        self.waiting = []
        self.table._take()
        view = self.table.view
        assert view.state is None or view.state.holds(self.clock.now_ns)

    @invariant()
    def the_last_good_document_is_in_force(self) -> None:
        view = self.table.view
        if self.good is None:
            assert view.state is None
            return
        assert view.state is not None
        assert view.text == self.good
        assert view.state.document.revision == revision_of(self.good)

    @invariant()
    def the_status_tells_how_the_source_stands(self) -> None:
        view = self.table.view
        assert view.status.state is self.state
        assert (view.status.refusal is not None) is self.newest_is_bad
        assert (not source_text(view.status)) is (self.state is SourceState.SYNCED)
        assert view.status.from_snapshot is self.from_snapshot
        assert view.state is None or view.state.stale is view.status.stale is (self.state is SourceState.DISCONNECTED)

    @invariant()
    def the_generation_only_grows(self) -> None:
        for before, after in self.heard:
            was = before.state.generation if before.state else 0
            now = after.state.generation if after.state else 0
            assert now > was if after.state is not before.state else now == was
            assert was == self.generation
            self.generation = now
            assert (after.state, after.status) != (before.state, before.status)
        self.heard.clear()


TableMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestEverySequence = TableMachine.TestCase


@pytest.fixture
def clock() -> Clock:
    """Return a clock at the beginning of time."""
    return Clock()


@pytest.fixture
def table(clock: Clock) -> Iterator[RoutingTable]:
    """Return a table whose thread runs."""
    table = RoutingTable(clock=clock)
    table.start()
    yield table
    table.stop()


def _state(table: RoutingTable) -> SourceState:
    return table.view.status.state


def test_a_delivered_text_comes_in_force(table: RoutingTable, clock: Clock) -> None:
    """Whoever waits is woken with the new view."""
    clock.now_ns = 7
    table.deliver(Content(b"dc2", "v1"))
    view = table.wait(None, timeout=10)
    assert view.state is not None
    assert (view.text, view.state.generation, view.status.version) == (b"dc2", 1, "v1")
    assert (view.status.applied_at_ns, view.status.confirmed_at_ns) == (7, 7)


def test_the_same_text_again_only_confirms(table: RoutingTable, clock: Clock) -> None:
    """It makes no new state, but says when the source last had it."""
    table.deliver(Content(b"dc2", "v1"))
    state = table.wait(None, timeout=10).state
    clock.now_ns = 5
    table.deliver(Content(b"dc2", "v2"))
    eventually(lambda: table.view.status.version == "v2", "the second text")
    assert table.view.state is state
    assert (table.view.status.applied_at_ns, table.view.status.confirmed_at_ns) == (0, 5)


def test_a_refused_text_leaves_what_is_in_force(table: RoutingTable) -> None:
    """The refusal is there to be shown, and goes when the text is mended."""
    table.deliver(Content(b"dc2", "v1"))
    state = table.wait(None, timeout=10).state
    table.deliver(Content(b"defaul: dc1", "v2"))
    eventually(lambda: _state(table) is SourceState.REJECTED, "the refusal")
    assert table.view.state is state
    refusal = table.view.status.refusal
    assert refusal is not None
    assert (refusal.text, refusal.revision) == (b"defaul: dc1", revision_of(b"defaul: dc1"))
    assert (
        table.view.status.error == "defaul (line 1, column 1): found the unknown key 'defaul': did you mean `default`?"
    )
    table.deliver(Content(b"dc2", "v3"))
    eventually(lambda: _state(table) is SourceState.SYNCED, "the mended text")
    assert table.view.state is state
    assert table.view.status.refusal is None


def test_a_refused_text_is_read_once() -> None:
    """A source that reports it every two seconds costs nothing more."""
    read: list[bytes] = []

    def parse(text: bytes) -> object:
        read.append(text)
        return parse_document(text)

    table = RoutingTable(parse=parse)  # type: ignore[arg-type]
    for version in ("1", "2", "3"):
        table.deliver(Content(b"dc1 dc2", version))
        table._take()
    assert read == [b"dc1 dc2"]
    assert table.view.status.version == "3"


def test_loss_and_return_are_new_states(table: RoutingTable) -> None:
    """Whether decisions are stale is part of them."""
    table.deliver(Content(b"dc2", "v1"))
    fresh = table.wait(None, timeout=10).state
    table.deliver(Unreachable("timeout"))
    stale = table.wait(fresh, timeout=10).state
    assert stale is not None
    assert (stale.stale, stale.generation) == (True, 2)
    table.deliver(Content(b"dc2", "v1"))
    again = table.wait(stale, timeout=10).state
    assert again is not None
    assert (again.stale, again.generation) == (False, 3)


def test_a_deleted_key_is_no_order(table: RoutingTable) -> None:
    """The last good document decides on; the operator sees that the key is gone."""
    table.deliver(Content(b"dc2", "v1"))
    state = table.wait(None, timeout=10).state
    table.deliver(Missing("the node is gone"))
    eventually(lambda: _state(table) is SourceState.MISSING, "the missing key")
    assert table.view.state is state
    assert table.view.status.error == "the node is gone"


def test_the_clock_alone_brings_the_next_state(table: RoutingTable, clock: Clock) -> None:
    """A drill's start and end are seen without any report, and so is a clock that is set back."""
    table.deliver(Content(DRILL, "v1"))
    before = table.wait(None, timeout=10).state
    assert before is not None
    assert before.out == {}
    for seconds, out in ((30, {"dc1": "drill"}), (90, {}), (45, {"dc1": "drill"})):
        seen = table.view.state
        clock.now_ns = seconds * SECOND_NS
        state = table.wait(seen, timeout=10).state
        assert state is not None
        assert {name: outage_text(outage) for name, outage in state.out.items()} == out


def test_a_listener_that_fails_stops_nobody(table: RoutingTable) -> None:
    """The others hear of the change, and of the next one."""
    heard: list[bytes] = []

    def broken(_before: View, _after: View) -> None:
        raise ValueError("broken listener")

    table.subscribe(broken)
    table.subscribe(lambda _, after: heard.append(after.text))
    table.deliver(Content(b"dc1", "v1"))
    eventually(lambda: heard == [b"dc1"], "the first change")
    table.deliver(Content(b"dc2", "v2"))
    eventually(lambda: heard == [b"dc1", b"dc2"], "the second change")


def test_a_parser_that_fails_stops_nothing(clock: Clock) -> None:
    """A fault of our own is logged; the next text is taken."""

    def parse(text: bytes) -> object:
        if text == b"dc1":
            raise ZeroDivisionError
        return parse_document(text)

    table = RoutingTable(parse=parse, clock=clock)  # type: ignore[arg-type]
    table.start()
    table.deliver(Content(b"dc1", "v1"))
    eventually(lambda: not table._queue, "the first text to be taken")
    table.deliver(Content(b"dc2", "v2"))
    assert table.wait(None, timeout=10).text == b"dc2"
    table.stop()


def test_only_the_newest_of_waiting_texts_is_read() -> None:
    """While a big text is read, those that come and go meanwhile are never looked at."""
    started, go_on = threading.Event(), threading.Event()
    read: list[bytes] = []

    def parse(text: bytes) -> object:
        read.append(text)
        started.set()
        go_on.wait(10)
        return parse_document(text)

    table = RoutingTable(parse=parse)  # type: ignore[arg-type]
    table.start()
    table.deliver(Content(b"dc1", "1"))
    assert started.wait(10)
    for report in (Content(b"dc2", "2"), Unreachable("a"), Unreachable("b"), Content(b"dc3", "3"), Unreachable("c")):
        table.deliver(report)
    go_on.set()
    eventually(lambda: _state(table) is SourceState.DISCONNECTED, "the last report")
    assert read == [b"dc1", b"dc3"]
    assert (table.view.text, table.view.status.error) == (b"dc3", "c")
    table.stop()


def test_stop_wakes_who_waits(table: RoutingTable) -> None:
    """Nobody waits for a change that will not come; the last view stays."""
    table.deliver(Content(b"dc2", "v1"))
    state = table.wait(None, timeout=10).state
    seen: list[View] = []
    waiter = threading.Thread(target=lambda: seen.append(table.wait(state, timeout=60)))
    waiter.start()
    table.stop()
    waiter.join(10)
    assert [view.state for view in seen] == [state]


def test_a_table_that_never_started_stops() -> None:
    """A daemon that fails early may stop everything it made."""
    RoutingTable().stop()


def test_refusals_are_what_the_parser_raises() -> None:
    """The bad texts of this module are bad, the good ones good."""
    for text in BAD:
        with pytest.raises(DocumentRejected):
            parse_document(text)
    for text in GOOD:
        parse_document(text)
