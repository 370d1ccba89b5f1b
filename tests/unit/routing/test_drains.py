"""Which workers a document has drained."""

from __future__ import annotations

import time

import pytest

from sidecar.errors import DocumentRejected
from sidecar.pb.dcsidecar.v1 import routing_pb2
from sidecar.routing.changes import changes
from sidecar.routing.decision import Reason, decide
from sidecar.routing.document import parse_document
from sidecar.routing.drains import MAX_RULES, WorkerDrains
from sidecar.routing.lint import warnings
from sidecar.routing.model import WorkerRule
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.plain import change_plain
from sidecar.routing.state import State
from sidecar.routing.wording import change_text


def drains(*matches: str) -> WorkerDrains:
    """Return the drains of a document that drains what matches."""
    rules = ", ".join(f'{{match: "{match}", available: false}}' for match in matches)
    return WorkerDrains(parse_document(f"default: dc1\nworkers: [{rules}]".encode()).workers)


@pytest.mark.parametrize(
    ("match", "address", "found"),
    [
        ("10.1.0.7:27777", "10.1.0.7:27777", True),
        ("10.1.0.7:27777", "10.1.0.7:2777", False),
        ("10.1.0.7", "10.1.0.7:27777", False),
        ("10.1.0.7:*", "10.1.0.7:27777", True),
        ("10.1.0.7:*", "10.1.0.77:27777", False),
        ("10.1.0.7*", "10.1.0.77:27777", True),
        ("*:27777", "worker-3.dc1:27777", True),
        ("*:27777", "worker-3.dc1:27778", False),
        ("worker-*", "worker-3.dc1:27777", True),
        ("worker-3:*", "worker-3", False),
        ("worker-3*", "worker-3", True),
        ("10.1.0.0/30", "10.1.0.3:27777", True),
        ("10.1.0.0/30", "10.1.0.4:27777", False),
        ("10.1.0.0/30", "::ffff:10.1.0.3", True),
        ("fd00:1::/64", "[fd00:1::7]:27777", True),
        ("fd00:1::/64", "worker-3:27777", False),
    ],
)
def test_addresses_networks_and_patterns(match: str, address: str, found: bool) -> None:
    """An address as it is, a network by the host's IP, a `*` for the rest of the address."""
    assert drains(match).match(address) is found
    assert drains("10.9.9.9:1", "x*", "*y", "10.8.0.0/16", match).match(address) is found
    assert not WorkerDrains([WorkerRule(match, available=True)]).match(address)


def test_a_drained_worker_counts_as_not_there() -> None:
    """It is not selected, nor counted for min_workers, nor let through without a route or by on_empty: any."""
    workers = [
        routing_pb2.Worker(address=f"10.{dc}.0.{number}:1", datacenter=f"dc{dc}") for dc in (1, 2) for number in (1, 2)
    ]

    def decided(text: str) -> tuple[Reason, list[int]]:
        drained = '\nworkers: [{match: "10.1.0.1:*", available: false}, {match: 10.2.0.2:1}]'
        decision = decide(State(parse_document((text + drained).encode()), 1, 0), "a", "1", "", workers)
        return decision.reason, list(decision.indices)

    assert decided("default: dc1") == (Reason.ACTIVE, [1])
    assert decided("default: {active: dc1, backups: [dc2], min_workers: 2}") == (Reason.FAILOVER, [2, 3])
    assert decided("default: {active: dc1, min_workers: 2}") == (Reason.DEGRADED, [1])
    assert decided("default: {active: dc9, on_empty: any}") == (Reason.ANY, [1, 2, 3])
    assert decided("apps: {b: dc1}") == (Reason.UNROUTED, [1, 2, 3])


def test_the_bound_of_rules() -> None:
    """At the bound 10,000 workers are matched in well under a second; one rule more is refused."""
    shapes = ("10.{0}.{1}.7:27777", "worker-{0}-{1}.*", "*-{0}-{1}:1", "10.{0}.{1}.0/{2}")
    rules = [shapes[number % 4].format(number // 250, number % 250, 24) for number in range(MAX_RULES)]
    compiled = drains(*rules)
    addresses = [f"10.200.{number // 250}.{number % 250}:27777" for number in range(10_000)]
    begun = time.process_time()
    assert not any(map(compiled.match, addresses))
    assert time.process_time() - begun < 1
    text = "workers: [" + ", ".join(f'{{match: "w{number}"}}' for number in range(MAX_RULES + 1)) + "]"
    with pytest.raises(DocumentRejected, match=r"found 1,001 entries, expected at most 1,000"):
        parse_document(text.encode())


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ("{available: false}", "workers[0].match", "missing: an entry needs `match`"),
        ('{match: "*"}', "workers[0].match", "such as 10.1.0.7:27777, 10.1.0.0/28 or 10.1.0.7:*"),
        ('{match: "10.*.7:1"}', "workers[0].match", "one * at its begin or end"),
        ('{match: "10.1.0.7 :1"}', "workers[0].match", "expected an address"),
        ("{match: 10.1.0.7/24}", "workers[0].match", "did you mean 10.1.0.0/24?"),
        ('{match: "::ffff:10.1.0.0/112"}', "workers[0].match", "IPv4 addresses written as IPv6: write 10.1.0.0/16"),
        ("{match: 10.1.0.0/99}", "workers[0].match", "a network such as"),
        ("{match: a, available: no}", "workers[0].available", "expected true or false"),
        ("{match: a, drained: true}", "workers[0].drained", "unknown key"),
        ("{match: a}, {match: a}", "workers[1].match", "found 'a' again"),
        ("dc1", "workers[0]", "expected a mapping with match and available"),
    ],
)
def test_what_is_refused(entry: str, path: str, words: str) -> None:
    """The place is named, and what was expected there."""
    with pytest.raises(DocumentRejected) as refused:
        parse_document(f"default: dc1\nworkers: [{entry}]".encode())
    assert refused.value.problems[0].path == path
    assert words in refused.value.problems[0].message


def _rules(*rules: str) -> State:
    return State(parse_document(f"default: dc1\nworkers: [{', '.join(rules)}]".encode()), 1, 0)


def test_drains_are_told_as_changes() -> None:
    """Each worker that is drained or available again, with the reason."""
    before, after = _rules("{match: a, available: false, reason: disk}"), _rules("{match: b, available: false}")
    found = changes(before, after)
    assert [change_text(change) for change in found] == ["a: drained (disk) → available", "b: available → drained"]
    assert change_plain(found[0])["before"] == {"drained": True, "reason": "disk"}
    assert changes(after, after) == []


def test_entries_without_effect_are_found() -> None:
    """An entry that says what holds without it, and one that another covers."""
    text = 'default: dc1\nworkers: [{match: a}, {match: "b*", available: false}, {match: b1, available: false}]'
    problems = [problem.message for problem in warnings(parse_text(text.encode()), 0)]
    assert any("a is available, as without this entry" in message for message in problems)
    assert any("b* covers it already" in message for message in problems)
