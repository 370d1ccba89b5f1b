"""What the memo remembers, forgets, and never mixes up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import BadRequest
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.document import parse_document
from sidecar.routing.state import State
from sidecar.server.decisions import DecisionHandler
from sidecar.server.large_requests import made
from sidecar.server.memo import Memo
from sidecar.table import RoutingTable
from tests.views import view, view_of

BIG = bytes(range(256)) * 400


def a_memo(*, entries: int = 100, size: int = 10_000_000) -> Memo[bytes]:
    """Return an empty memo with these bounds."""
    return Memo(entries=entries, size=size)


def remember(memo: Memo[bytes], request: bytes, response: bytes) -> None:
    """Remember the response to a request."""
    memo.keep(request, response, len(request) + len(response))


def test_an_equal_request_is_found() -> None:
    """A small and a big request find what was remembered, by their bytes and not by being the same object."""
    memo = a_memo()
    for request in (b"small", BIG):
        assert memo.find(request) is None
        remember(memo, request, b"answer to " + request)
        assert memo.find(bytes(bytearray(request))) == b"answer to " + request


def test_only_what_comes_again_is_worth_keeping() -> None:
    """The second request of the same bytes is distinguished from the first, among no more than `entries` of them."""
    memo = a_memo(entries=10)
    for request in (b"small", BIG):
        assert not memo.comes_again(request)
        assert memo.comes_again(bytes(bytearray(request)))
    for number in range(1000):
        assert not memo.comes_again(b"%d" % number)
    assert len(memo._come) <= 10


def test_big_requests_that_look_alike_are_told_apart() -> None:
    """A byte that the sample of a big request does not cover still makes another request."""
    memo = a_memo()
    remember(memo, BIG, b"answer")
    for position in range(300, 700):
        twin = bytearray(BIG)
        twin[position] ^= 1
        assert memo.find(bytes(twin)) is None
    assert memo.find(BIG) == b"answer"


def test_it_is_bounded_in_entries() -> None:
    """However many requests come, no more than `entries` are kept."""
    memo = a_memo(entries=10)
    requests = [b"%d" % number for number in range(100)]
    for request in requests:
        remember(memo, request, b"answer")
    assert 5 <= sum(memo.find(request) is not None for request in requests[-10:]) <= 10
    assert len(memo._young) + len(memo._old) <= 10


def test_it_is_bounded_in_bytes() -> None:
    """However big the requests are, no more than `size` bytes are kept, and what is bigger than that not at all."""
    memo = a_memo(size=100_000)
    requests = [b"%06d" % number + bytes(10_000) for number in range(50)]
    for request in requests:
        remember(memo, request, bytes(1000))
        kept = [*memo._young.values(), *memo._old.values()]
        assert sum(len(request) + len(response) for request, response, _ in kept) <= 100_000
    assert memo.find(requests[-1]) is not None
    huge = bytes(100_000)
    remember(memo, huge, b"answer")
    assert memo.find(huge) is None


def test_no_entries_means_no_memory() -> None:
    """With `entries` of 0 nothing is found again."""
    memo = a_memo(entries=0, size=0)
    remember(memo, b"request", b"answer")
    assert memo.find(b"request") is None


def test_a_flood_of_new_requests_does_not_wash_out_those_that_come_again() -> None:
    """A request that is asked now and then stays, while a hundred times as many as fit are asked once."""
    memo = a_memo(entries=100)
    remember(memo, b"again", b"answer")
    for number in range(10_000):
        remember(memo, b"once %d" % number, b"answer")
        if number % 20 == 0:
            assert memo.find(b"again") == b"answer"


NAMES = st.sampled_from(["dc1", "dc2", "dc3"])
WORKERS = st.builds(
    pb.Worker,
    address=st.sampled_from(["10.1.0.1:1", "10.2.0.1:1", "host:1"]),
    datacenter=st.sampled_from(["", "dc1", "dc2", "dc3"]),
    metrics=st.sampled_from(["", "dc2", '{"datacenter": "dc3"}', "{"]),
    tag=st.sampled_from(["", "dc1", "x, dc2"]),
)
REQUESTS = st.builds(
    pb.FilterWorkersRequest,
    app=st.sampled_from(["", "a", "b", "c"]),
    job=st.sampled_from(["", "1", "2"]),
    instance=st.sampled_from(["", "i1", "i2"]),
    candidates=st.lists(WORKERS, max_size=5),
    indices_only=st.booleans(),
    app_aliases=st.lists(st.sampled_from(["a", "b"]), max_size=2),
)
ROUTES = st.one_of(
    NAMES.map(lambda name: f"{{active: {name}, backups: [dc1, dc3]}}"),
    st.tuples(NAMES, NAMES).map(lambda pair: f"{{split: {{{pair[0]}: 60, x{pair[1]}: 40}}, on_empty: any}}"),
    NAMES.map(lambda name: f"{{active: {name}, min_workers: 2, backups: [dc2]}}"),
)
DOCUMENTS = st.tuples(ROUTES, ROUTES).map(lambda pair: f"default: {pair[0]}\napps: {{a: {pair[1]}, b: dc2}}".encode())
STEPS = st.lists(st.one_of(REQUESTS, st.tuples(DOCUMENTS, st.booleans())), min_size=2, max_size=40)


@settings(deadline=None, max_examples=200)
@given(first=DOCUMENTS, steps=STEPS)
def test_answers_are_the_same_with_and_without_it(first: bytes, steps: list[object]) -> None:
    """Over random changes and requests, asked anew and again, every response is byte for byte that of no memo."""
    table = RoutingTable()
    remembering = DecisionHandler(table, max_candidates=100, memo_entries=8, memo_bytes=5000)
    forgetting = DecisionHandler(table, max_candidates=100, memo_entries=0, memo_bytes=0)
    generation = 0
    asked: list[bytes] = []
    for step in [(first, False), *steps]:
        if isinstance(step, tuple):
            generation += 1
            text, stale = step
            state = State(parse_document(text), generation=generation, now_ns=0, stale=stale)
            table.view = view_of(state, text)
            continue
        assert isinstance(step, pb.FilterWorkersRequest)
        asked.append(step.SerializeToString())
        for request in (asked[-1], asked[len(asked) // 2], asked[0], asked[-1]):
            assert outcome(remembering, request) == outcome(forgetting, request)
            assert generation == table.view.state.generation  # type: ignore[union-attr]


PIECES = st.sampled_from(
    [
        b"\x0a\x00",
        *(
            piece.SerializeToString()
            for piece in (
                pb.FilterWorkersRequest(app="a"),
                pb.FilterWorkersRequest(app="b" * 200),
                pb.FilterWorkersRequest(job="1"),
                pb.FilterWorkersRequest(instance="i1"),
                pb.FilterWorkersRequest(candidates=[pb.Worker(address="10.1.0.1:1", datacenter="dc1")]),
                pb.FilterWorkersRequest(candidates=[pb.Worker(address="10.2.0.1:1", datacenter="dc2")]),
                pb.FilterWorkersRequest(indices_only=True),
                pb.FilterWorkersRequest(app_aliases=["b"]),
            )
        ),
    ]
)


@given(st.lists(st.lists(PIECES, max_size=6), min_size=2, max_size=10))
def test_the_parts_of_a_request_may_come_in_any_order(asked: list[list[bytes]]) -> None:
    """Candidates that are known hide no name that stands after them, again, or empty: fields have no order."""
    text = b"{default: dc1, apps: {b: dc2}}"
    table = RoutingTable()
    table.view = view(text)
    remembering = DecisionHandler(table, max_candidates=100, memo_entries=100, memo_bytes=100_000)
    forgetting = DecisionHandler(table, max_candidates=100, memo_entries=0, memo_bytes=0)
    for pieces in asked:
        request = b"".join(pieces)
        for _ in range(3):
            assert outcome(remembering, request) == outcome(forgetting, request)


def outcome(decisions: DecisionHandler, request: bytes) -> bytes | str:
    """Return the response, or the refusal's text."""
    try:
        return made(decisions.answer(request))
    except BadRequest as error:
        return str(error)
