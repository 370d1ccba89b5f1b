"""What holds for every document, request and time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sidecar.errors import DocumentRejected
from sidecar.pb.dcsidecar.v1 import routing_pb2
from sidecar.routing.decision import Decision, Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import NO_WORKERS, unhealthy
from sidecar.routing.scalars import SECOND_NS
from sidecar.routing.state import State
from sidecar.routing.wording import outage_text
from tests import documents, reference
from tests.documents import as_json, as_yaml

pytestmark = pytest.mark.no_cover

Plain = Any

slow = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _parse(text: str) -> RoutingDocument:
    return parse_document(text.encode())


def _decide(state: State, request: Plain) -> Decision:
    candidates = [routing_pb2.Worker(**worker) for worker in request["candidates"]]
    aliases = tuple(request.get("app_aliases", ()))
    return decide(state, request["app"], request["job"], request["instance"], candidates, aliases)


def _content(document: RoutingDocument) -> tuple[Any, ...]:
    """Return all that a document says, without its revision."""
    return document.default, document.apps, document.datacenters, document.drills, document.meta, document.ramps


@slow
@given(documents.documents, st.lists(documents.requests, min_size=1, max_size=5), documents.instants, st.data())
def test_decides_as_the_reference_does(document: Plain, requests: list[Plain], now: int, data: st.DataObject) -> None:
    """The implementation in tests/reference.py comes to the same answers."""
    text = as_yaml(document, flow=data.draw(st.booleans()))
    down = data.draw(st.frozensets(documents.datacenters, max_size=2))
    state = State(_parse(text), generation=1, now_ns=now, unhealthy=dict.fromkeys(down, unhealthy(NO_WORKERS)))
    for request in requests:
        ours = _decide(state, request)
        expected = reference.decide(reference.parse(text), request, Fraction(now, SECOND_NS), down)
        assert (ours.reason.name, ours.datacenter, list(ours.indices)) == expected


@slow
@given(documents.documents, documents.requests, documents.instants)
def test_selects_in_order_and_from_one_datacenter(document: Plain, request: Plain, now: int) -> None:
    """The selected stand in the request's order, each once, and unless nobody or everybody serves in one datacenter."""
    state = State(_parse(as_json(document)), generation=1, now_ns=now)
    decision = _decide(state, request)
    indices = list(decision.indices)
    assert indices == sorted(set(indices))
    assert all(0 <= index < len(request["candidates"]) for index in indices)
    workers = [routing_pb2.Worker(**worker) for worker in request["candidates"]]
    where = {workers[index].datacenter or state.locator.locate(workers[index]) for index in indices}
    if decision.datacenter:
        assert where == {decision.datacenter}
    else:
        assert decision.reason in {Reason.ANY, Reason.UNROUTED, Reason.NO_WORKERS}
    assert (decision.reason is Reason.NO_WORKERS) == (not indices) or decision.reason is Reason.UNROUTED


@slow
@given(documents.documents, st.sampled_from([None, "'", '"']), st.booleans())
def test_spelling_does_not_matter(document: Plain, style: str | None, flow: bool) -> None:
    """JSON, YAML in blocks or in flow, quoted or plain: the same document; and the reference takes it too."""
    reference.parse(as_yaml(document))
    spelt = _content(_parse(as_json(document)))
    assert _content(_parse(as_yaml(document, flow=flow, style=style))) == spelt
    assert _content(_parse("\ufeff" + json.dumps(document, indent=1).replace("\n", "\r\n"))) == spelt


def test_numbers_and_words_of_json_are_their_text() -> None:
    """What JSON has other types for is the text that YAML would have there."""
    as_words = '{"default": {"active": true, "backups": [null, 7, 1e3], "min_workers": 2}, "apps": {}}'
    as_texts = '{"default": {"active": "true", "backups": ["null", "7", "1e3"], "min_workers": "2"}, "apps": {}}'
    assert _content(_parse(as_words)) == _content(_parse(as_texts))


@slow
@given(documents.documents, documents.requests, documents.instants, st.data())
def test_decisions_are_constant_while_a_state_holds(
    document: Plain, request: Plain, now: int, data: st.DataObject
) -> None:
    """At any time within its window a new State decides alike; the window is the same one, and ends where it says."""
    parsed = _parse(as_json(document))
    state = State(parsed, generation=1, now_ns=now)
    assert state.holds(now)
    since = state.since_ns if state.since_ns is not None else now - 10**15
    until = state.until_ns if state.until_ns is not None else now + 10**15
    edges = st.sampled_from([since, until - 1, (since + until) // 2])
    other = State(parsed, generation=1, now_ns=data.draw(edges | st.integers(since, until - 1)))
    assert (other.since_ns, other.until_ns) == (state.since_ns, state.until_ns)
    assert _decide(other, request) == _decide(state, request)
    if state.until_ns is not None:
        assert not state.holds(state.until_ns)
        assert State(parsed, generation=1, now_ns=state.until_ns).since_ns == state.until_ns
    if state.since_ns is not None:
        assert not state.holds(state.since_ns - 1)
        assert State(parsed, generation=1, now_ns=state.since_ns - 1).until_ns == state.since_ns


def _placed(split: Mapping[str, float], jobs: int, app: str = "a") -> list[str]:
    state = State(_parse(as_json({"apps": {app: {"split": split}}})), generation=1, now_ns=0)
    candidates = [routing_pb2.Worker(address=name, datacenter=name) for name in split]
    return [decide(state, app, str(job), "", candidates).datacenter for job in range(jobs)]


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(documents.datacenters, st.integers(0, 100), min_size=3, max_size=5),
    st.integers(1, 100),
    st.data(),
)
def test_moving_weight_moves_only_what_must_move(split: dict[str, int], moved: int, data: st.DataObject) -> None:
    """Only jobs that leave the lighter datacenter or enter the heavier one move; no other job does."""
    source = data.draw(st.sampled_from(sorted(split)))
    target = data.draw(st.sampled_from(sorted(set(split) - {source})))
    assume(split[source] > 0)
    moved = min(moved, split[source])
    after = {**split, source: split[source] - moved, target: split[target] + moved}
    changes = {pair for pair in zip(_placed(split, 300), _placed(after, 300), strict=True) if pair[0] != pair[1]}
    others = set(split) - {source, target}
    assert not any(before in others and now in others for before, now in changes)
    assert all(now != source and before != target for before, now in changes)


@slow
@given(documents.documents, documents.requests, documents.instants, st.data())
def test_naming_an_application_moves_no_job(document: Plain, request: Plain, now: int, data: st.DataObject) -> None:
    """An entry in `apps` under any name of the application that changes none of its route's keys moves nothing."""
    names = [request["app"], *request.get("app_aliases", ())]
    assume(not any(name in document.get("apps", {}) for name in names))
    restated = data.draw(st.sampled_from([{}, document.get("default") or {}]))
    named = {**document, "apps": {**document.get("apps", {}), data.draw(st.sampled_from(names)): restated}}
    before, after = (
        _decide(State(_parse(as_json(content)), generation=1, now_ns=now), request) for content in (document, named)
    )
    assert (after.datacenter, after.reason, list(after.indices)) == (
        before.datacenter,
        before.reason,
        list(before.indices),
    )


@pytest.mark.parametrize(
    "split",
    [
        {"dc1": 90, "dc2": 10},
        {"dc1": 1, "dc2": 1, "dc3": 1},
        {"dc1": 0.5, "dc2": 0.25, "dc3": 0.25},
        {"dc1": 1, "dc2": 99},
        {"dc1": 60, "dc2": 25, "dc3": 10, "dc4": 5},
    ],
)
def test_shares_follow_the_weights(split: dict[str, float]) -> None:
    """Over 10,000 jobs each datacenter has its weight's share, give or take 2 points."""
    placed = _placed(split, 10_000)
    for name, weight in split.items():
        assert abs(placed.count(name) / 10_000 - weight / sum(split.values())) < 0.02, name


def test_the_jobs_of_a_lost_datacenter_spread_over_the_rest() -> None:
    """Under a drill the jobs elsewhere stay, and those that lose theirs are shared out by the weights of the others."""
    text = as_json({"default": {"split": {"dc1": "2", "dc2": "1", "dc3": "1"}}, "datacenters": ["dc1", "dc2", "dc3"]})
    lost = text.replace('["dc1", "dc2", "dc3"]', '{"dc1": {"available": false}, "dc2": {}, "dc3": {}}')
    candidates = [routing_pb2.Worker(address=name, datacenter=name) for name in ("dc1", "dc2", "dc3")]
    before, after = (
        [decide(State(_parse(spelt), 1, 0), "a", str(job), "", candidates).datacenter for job in range(4000)]
        for spelt in (text, lost)
    )
    assert all(now == was for was, now in zip(before, after, strict=True) if was != "dc1")
    moved = [now for was, now in zip(before, after, strict=True) if was == "dc1"]
    assert abs(moved.count("dc2") / len(moved) - 0.5) < 0.05


# What may stand in the console: anything.

_TOKENS = [
    *("default", "apps", "drills", "datacenters", "meta", "split", "ramp", "jobs", "active", "backups", "version"),
    *(
        ": ",
        ":",
        "- ",
        "-",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "!x ",
        "!!str ",
        "<<",
        "|",
        ">",
        "|-\n",
        "%YAML 1.2",
    ),
    *("\n", "\r\n", "\r", "\t", " ", "  ", "---", "...", "#", "'", '"', "@", "`", "%TAG ! x\n", "\\", "~", "null"),
    *("\ufeff", "\u2028", "\u2029", "\x85", "\0", "\x7f", "\x1b", "\U0001f600", "\ufffe", "é"),
    *(
        "dc1",
        "dc2",
        "1",
        "0",
        "-1",
        "1e400",
        "9" * 400,
        ".inf",
        ".nan",
        "0x10",
        "2026-11-22T10:00:00Z",
        "2h",
        "10.0.0.0/8",
    ),
    *(
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        "true",
        "false",
        "NaN",
        "Infinity",
        '{"a": 1}',
        "[[[[[[[[[[[[[[[[[",
    ),
]
anything = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")),
    st.lists(st.sampled_from(_TOKENS), max_size=40).map(lambda tokens: "".join(tokens).encode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(_TOKENS),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*_TOKENS, "\ud800"]), inner, max_size=4)
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a valid document in which a few bytes or pieces were replaced, dropped or doubled."""
    spell = draw(st.sampled_from([as_json, as_yaml]))
    text = spell(draw(documents.documents)).encode()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 10)))
        piece = draw(st.sampled_from(_TOKENS).map(str.encode) | st.binary(max_size=3) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    return text


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(anything | mutated())
def test_no_text_raises_anything_but_the_refusal(text: bytes) -> None:
    """Whatever the bytes, they are a document or refused, with problems that have a place and fit in a line."""
    try:
        document = parse_document(text)
    except DocumentRejected as refused:
        problems = refused.problems
    else:
        state = State(document, generation=1, now_ns=documents.NOON)
        decide(state, "a", "1", "", [routing_pb2.Worker(address="10.0.0.1:1", datacenter="dc1")])
        json.dumps(document.meta, ensure_ascii=False).encode()
        "".join(map(outage_text, state.out.values())).encode()
        return
    assert problems
    for problem in problems:
        assert (problem.line or 0) >= 1
        assert (problem.column or 0) >= 1
        assert str(problem).isprintable()
        str(problem).encode()


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_accepts_what_the_reference_accepts(text: bytes) -> None:
    """A document with a few pieces replaced is valid to both or to none, and what is valid decides alike."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        assume(False)
        return
    # What YAML does not have within a line and JSON has, and what PyYAML knows less of than libyaml.
    assume(all(char.isprintable() or char in "\r\n" for char in decoded))
    assume("%" not in decoded)
    assume("\\" not in decoded)
    # JSON lets a colon begin a line, PyYAML does not.
    assume(not re.search(r"[\r\n]\s*:", decoded))
    try:
        expected = reference.parse(decoded)
    except reference.RefusedError:
        expected = None
    try:
        ours = parse_document(text)
    except DocumentRejected:
        assert expected is None
    else:
        assert expected is not None
        request = {"app": "a", "job": "1", "instance": "", "candidates": [{"address": "x", "datacenter": "dc1"}]}
        decision = _decide(State(ours, generation=1, now_ns=documents.NOON), request)
        moment = Fraction(documents.NOON, SECOND_NS)
        assert reference.decide(expected, request, moment) == (
            decision.reason.name,
            decision.datacenter,
            list(decision.indices),
        )
