"""Reading a document whole, or refusing it whole with all that is wrong with it."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.errors import DocumentRejected
from sidecar.footprint import NODE
from sidecar.routing.document import MAX_BYTES, parse_document, revision_of
from sidecar.routing.model import Active, Datacenter, Drill, OnEmpty, Ramp, Route, RoutingDocument, Split, Sticky
from sidecar.routing.networks import Cidr
from sidecar.routing.scalars import SECOND_NS, parse_time
from sidecar.yaml_reader import MAX_PROBLEMS


def _parse(text: str) -> RoutingDocument:
    return parse_document(text.encode())


def _refused(text: str | bytes) -> list[str]:
    """Return the problems of a text that must be refused, as an operator reads them."""
    with pytest.raises(DocumentRejected) as refused:
        parse_document(text.encode() if isinstance(text, str) else text)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize("text", ["dc2", "  dc2 \r\n", "\ufeffdc2", "'dc2'", "--- dc2 # now", '"dc2"', "\tdc2\n"])
def test_a_bare_name_routes_everything(text: str) -> None:
    """One word is the default's active datacenter, however it is spelt."""
    assert _parse(text).default == Route(selector=Active("dc2"))


@pytest.mark.parametrize("text", ["{}", "version: 1", "{meta: {by: lin}}", "apps: {}", "datacenters: []"])
def test_a_document_may_route_nothing(text: str) -> None:
    """An empty mapping is valid: it has no routes; an empty text is not."""
    assert _parse(text).default.selector is None


@pytest.mark.parametrize("text", ["null", "no", "1e3", "true"])
def test_a_bare_word_is_a_name_whatever_yaml_makes_of_it(text: str) -> None:
    """There are no booleans, numbers or nulls, only texts."""
    assert _parse(text).default == _parse(f"default: {text}").default == Route(selector=Active(text))


def test_signatures_are_not_for_the_routes() -> None:
    """A JSON document carries them as a member; what is in it does not matter here, but that it is an object."""
    plain, signed = b'{"default": "dc1"}', b'{"default": "dc1", "signatures": {"sequence": 1, "ssh": ["x"]}}'
    assert parse_document(signed).default == parse_document(plain).default
    with pytest.raises(DocumentRejected, match="expected what `dc-sidecar sign` writes"):
        parse_document(b'{"default": "dc1", "signatures": "x"}')


def test_the_revision_is_the_digest_of_the_bytes() -> None:
    """Two spellings of one document are two revisions: equal ones mean equal texts."""
    assert _parse("dc2").revision == hashlib.sha256(b"dc2").hexdigest()[:12] == revision_of(b"dc2")
    assert _parse("dc2\n").revision != _parse("dc2").revision


def test_routes_inherit() -> None:
    """From the default to the application to the job: each key given replaces the inherited one whole."""
    document = _parse("""
        default: {active: dc1, backups: [dc2, dc3], min_workers: 2, on_empty: any, sticky: instance}
        apps:
          bare: dc9
          own: {backups: [], on_empty: reject}
          split: {split: {dc1: 1, dc2: 3}, jobs: {"1": {backups: [dc4]}, "2": dc5, "3": {min_workers: 7}}}
    """)
    default = Route(Active("dc1"), ("dc2", "dc3"), 2, OnEmpty.ANY, Sticky.INSTANCE)
    split = Split((("dc1", 1.0), ("dc2", 3.0)))
    assert document.default == document.route("unknown", "1") == default
    assert document.route("bare") == Route(Active("dc9"), ("dc2", "dc3"), 2, OnEmpty.ANY, Sticky.INSTANCE)
    assert document.route("own") == Route(Active("dc1"), (), 2, OnEmpty.REJECT, Sticky.INSTANCE)
    assert document.route("split", "1") == Route(split, ("dc4",), 2, OnEmpty.ANY, Sticky.INSTANCE)
    assert document.route("split", "2") == Route(Active("dc5"), ("dc2", "dc3"), 2, OnEmpty.ANY, Sticky.INSTANCE)
    assert document.route("split", "3") == Route(split, ("dc2", "dc3"), 7, OnEmpty.ANY, Sticky.INSTANCE)
    assert document.route("split", "4") == document.route("split")


def test_all_parts_are_read() -> None:
    """Datacenters, ramps, drills and meta come out as they stand."""
    document = _parse("""
        meta: {by: lin, ticket: OPS-417, tags: [a, {b: ~}]}
        datacenters:
          dc1: {cidrs: [10.1.0.0/16, "fd00:1::/32", 10.9.9.9]}
          dc2: {available: false}
        default: {ramp: {from: dc1, to: dc2, start: "2026-11-22T10:00:00Z", duration: 2h}}
        apps:
          a: {}
          b: {jobs: {"1": {ramp: {from: dc2, to: dc1, start: "2026-11-22T10:00:00Z", duration: 1s, steps: 3}}}}
        drills:
          - {datacenter: dc1, start: "2026-11-22T14:00:00Z", until: "2026-11-22T15:00:00Z", apps: [a, b], reason: Q4}
          - {datacenter: dc2, until: "2026-11-22T15:00:00+08:00"}
    """)
    start = parse_time("2026-11-22T10:00:00Z") or 0
    ramp = Ramp("dc1", "dc2", start, 7200 * SECOND_NS)
    assert document.meta == {"by": "lin", "ticket": "OPS-417", "tags": ["a", {"b": "~"}]}
    networks = (Cidr(4, 0x0A010000, 16), Cidr(6, 0xFD00_0001 << 96, 32), Cidr(4, 0x0A090909, 32))
    assert document.datacenters == {"dc1": Datacenter("dc1", networks), "dc2": Datacenter("dc2", (), available=False)}
    assert document.default.selector == ramp
    assert document.ramps == {ramp, Ramp("dc2", "dc1", start, SECOND_NS, 3)}
    until = parse_time("2026-11-22T15:00:00Z") or 0
    assert document.drills == (
        Drill("dc1", until, until - 3600 * SECOND_NS, frozenset({"a", "b"}), "Q4"),
        Drill("dc2", until - 8 * 3600 * SECOND_NS),
    )


def test_a_reason_is_one_line() -> None:
    """However it is written, it is shown and logged in a line."""
    text = 'drills: [{datacenter: a, until: "2026-11-22T10:00:00Z", reason: "Q4\\n\\n drill\\n"}]'
    assert [drill.reason for drill in _parse(text).drills] == ["Q4 drill"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("default: ~", "found '~', expected a datacenter name"),
        ("meta: x", "meta (line 1, column 7): found 'x', expected a mapping such as {by: lin"),
        ("datacenters: {dc1: }", "datacenters.dc1 (line 1, column 20): found nothing, expected a mapping; write {}"),
        ("datacenters: {dc1: {cidr: []}}", "found the unknown key 'cidr': did you mean `cidrs`?"),
        ("datacenters: {dc1: {cidrs: 10.0.0.0/8}}", "expected a list of networks such as [10.1.0.0/16]"),
        ("datacenters: {dc1: {cidrs: [10.1.2.0/16]}}", "bits beyond its prefix: did you mean 10.1.0.0/16?"),
        ("datacenters: {dc1: {cidrs: ['::ffff:10.0.0.0/104']}}", "IPv4 addresses written as IPv6: write 10.0.0.0/8"),
        ("datacenters: {dc1: {cidrs: [[]]}}", "found a list, expected a network"),
        ("datacenters: {dc1: {cidrs: [dc1.example]}}", "found 'dc1.example', expected a network"),
        ("datacenters: {dc1: {cidrs: [fe80::1%eth0]}}", "found 'fe80::1%eth0', expected a network"),
        ("datacenters: {dc 1: {}}", "datacenters.dc 1 (line 1, column 15): found 'dc 1', expected a datacenter name"),
        ("datacenters: []\ndefault: dc1", "found dc1, which the datacenters block does not have; it has none"),
        ("datacenters: [alpha]\ndefault: zulu", "which the datacenters block does not have; it has alpha"),
        ("datacenters: [beijing]\ndefault: bejing", "did you mean `beijing`?"),
        ("apps: [a]", "apps (line 1, column 7): found a list, expected a mapping of applications"),
        ("apps: {a: []}", "apps.a (line 1, column 11): found a list, expected a datacenter's name, or a mapping with"),
        ("apps: {a: {jobs: [b]}}", "expected a mapping of job ids to their routes"),
        ("apps: {a: {jobs: {'': b}}}", "found nothing as the name of a job, expected 1 to 256 characters"),
        (
            "\n\napps:\n  a: b\n  'x\\y': dc1\n  \"\\a\": dc1",
            "apps.\\x07 (line 6, column 3): found '\\x07' as the name of",
        ),
        ("default: {split: dc1}", "found 'dc1', expected weights of datacenters such as {dc1: 90, dc2: 10}"),
        ("default: {split: {dc1: [1]}}", "default.split.dc1 (line 1, column 24): found a list, expected a weight"),
        ("default: {split: {dc 1: 1}}", "default.split.dc 1 (line 1, column 19): found 'dc 1', expected a datacenter"),
        ("default: {ramp: dc1}", "found 'dc1', expected a mapping with from, to, start, duration, and steps"),
        ("default: {ramp: {from: a, to: b, start: '2026-11-22T10:00:00Z'}}", "missing: ramp needs `duration`"),
        ("default: {min_workers: []}", "found a list, expected a whole number from 1 to 4294967295"),
        ("default: {min_workers: 4294967296}", "expected a whole number from 1 to 4294967295"),
        ("default: {sticky: {}}", "found a mapping, expected job or instance"),
        ("default: {'': x}", "default (line 1, column 11): found an empty key, known here are active, split"),
        ("drills: {}", "drills (line 1, column 9): found a mapping, expected a list of drills"),
        ("drills: [dc1]", "drills[0] (line 1, column 10): found 'dc1', expected a mapping with datacenter and until"),
        ("drills: [{until: '2026-11-22T10:00:00Z'}]", "missing: a drill needs `datacenter`"),
        ("drills: [{datacenter: a, until: [], reason: x}]", "found a list, expected a day and time that exist"),
        ("drills: [{datacenter: a, until: '2026-11-22T10:00:00Z', reason: []}]", "found a list, expected a text"),
        ("drills: [{datacenter: a, until: '2026-11-22T10:00:00Z', apps: []}]", "leave `apps` out for all of them"),
        ("drills: [{datacenter: a, until: '2026-11-22T10:00:00Z', apps: [b, b]}]", "found 'b' a second time"),
        ("drills: [{datacenter: a, until: '2026-11-22T10:00:00Z', apps: ['']}]", "found nothing as the name of"),
        ('{"meta": {"a": "\\ud800"}}', "found half of a character"),
        ('{"meta": {"\\ud800": "a"}}', "found half of a character"),
        (
            '{"drills": [{"datacenter": "a", "until": "2026-11-22T10:00:00Z", "reason": "\\ud800"}]}',
            "drills[0].reason (line 1, column 1): found half of a character",
        ),
        ('{"meta": {"a": ' + "[" * 15 + "]" * 15 + "}}", "found nesting deeper than 16 levels"),
        ("x" * 100, "found '" + "x" * 57 + "'…, expected a datacenter name"),
        ("", "the text is empty, expected a datacenter's name or a document: to keep the routes, leave it as it is"),
        (b"a: b\nd\xc3\xa9: \xff", "the document (line 2, column 6): byte 10 is not UTF-8: save the text as UTF-8"),
    ],
)
def test_refuses_with_one_problem(text: str | bytes, problem: str) -> None:
    """It says what was found, what was expected, and where."""
    (said,) = _refused(text)
    assert problem in said


def test_says_everything_that_is_wrong_in_the_order_of_the_text() -> None:
    """One round is enough to mend a document."""
    text = "drills: [{}]\ndefaul: a\napps:\n  a: {backup: [], min_workers: x}\ndefault: {split: {}, active: ''}\n"
    assert [said.partition(":")[0] for said in _refused(text)] == [
        "drills[0].datacenter (line 1, column 10)",
        "drills[0].until (line 1, column 10)",
        "defaul (line 2, column 1)",
        "apps.a.backup (line 4, column 7)",
        "apps.a.min_workers (line 4, column 32)",
        "default (line 5, column 10)",
        "default.active (line 5, column 30)",
    ]


def test_the_size_is_bounded() -> None:
    """One byte more than allowed is refused, and says which option raises the bound."""
    fits = b"dc2" + b" " * (MAX_BYTES - 3)
    assert parse_document(fits).default.selector == Active("dc2")
    (said,) = _refused(fits + b" ")
    assert "1048577 bytes, at most 1048576 are allowed: shorten it, or raise --max-document-size" in said
    with pytest.raises(DocumentRejected):
        parse_document(b"dc2", max_bytes=2)


def _fill(head: str, line: Callable[[int], str], tail: str = "") -> str:
    """Return a text of nearly the greatest size."""
    count = (MAX_BYTES - len(head) - len(tail)) // len(line(100_000))
    return head + "".join(map(line, range(count))) + tail


HOSTILE = {
    "unknown datacenters": _fill(
        "datacenters: [" + ",".join(f"n{n}" + "a" * 58 for n in range(1000)) + "]\napps:\n",
        lambda n: f" a{n}: b{'a' * 50}\n",
    ),
    "a backup again and again": _fill("default: {active: a, backups: [", lambda _: "d,", "]}"),
    "duplicate keys": _fill("apps:\n", lambda _: " a: b\n"),
    "unknown keys": _fill("default:\n", lambda n: f" activf{n}: b\n"),
    "problems under a long name": '{"apps": {"'
    + "a" * 400_000
    + '": {'
    + ",".join(f'"{n}":1' for n in range(50_000))
    + "}}}",
    "a long key": '{"' + "a" * 1_000_000 + '": 1}',
    "a long tag": "!" * 1_000_000,
    "tag directives": _fill("", lambda n: f"%TAG !{n}! x\n", "--- a"),
    "a long number": "default: {split: {a: " + "9" * 1_000_000 + "x}}",
    "empty drills": _fill("drills: [", lambda _: "{},", "]"),
    "a long list": _fill("[", lambda _: "a,", "]"),
    "questions": "? " * 500_000,
    "open brackets": "[" * 1_000_000,
}


def test_reading_ends_at_the_most_problems() -> None:
    """An operator mends some and tries again; a document of nothing but mistakes is not read to its end."""
    names = [f"a{number}" for number in range(MAX_PROBLEMS + 10)]
    said = _refused("apps:\n" + "".join(f"  {name}: {{actve: dc1}}\n" for name in names))
    assert len(said) == MAX_PROBLEMS
    assert f"(line {MAX_PROBLEMS + 1}, " in said[-1]


@pytest.mark.no_cover
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_with_little(name: str) -> None:
    """However a text is built, its refusal stays small, and takes no time that grows with the square of its size.

    The bound is of CPU and generous: what this found took minutes, or all memory.
    """
    started = time.process_time()
    said = _refused(HOSTILE[name])
    assert len(said) <= MAX_PROBLEMS
    assert sum(map(len, said)) < 1_000_000
    assert time.process_time() - started < 20


@pytest.mark.no_cover
def test_a_big_document_with_many_anchors_is_fine() -> None:
    """Anchors that nobody uses are tolerated, in any number."""
    document = _parse(_fill("apps:\n", lambda n: f" a{n}: &x{n} dc1\n"))
    assert len(document.apps) > 40_000


def test_breathes_at_each_name() -> None:
    """Whoever reads in the background gets a chance to rest at every application, backup and network."""
    calls = 0

    def checkpoint() -> None:
        nonlocal calls
        calls += 1

    networks = ",".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(1000))
    backups = ",".join(f"b{n}" for n in range(999))
    text = f"datacenters: {{a: {{cidrs: [{networks}]}}, {backups.replace(',', ': {}, ')}: {{}}}}\n"
    text += f"default: {{active: a, backups: [{backups}]}}"
    parse_document(text.encode(), checkpoint=checkpoint)
    assert calls > 2990


REFERENCE = (Path(__file__).parents[3] / "docs/routing-document.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL))
def test_examples_of_the_reference_are_valid(text: str) -> None:
    """What the user's reference shows can be pasted."""
    _parse(text)


@pytest.mark.parametrize(
    ("text", "problems"), re.findall(r"```yaml refused\n(.*?)```\n\n```text\n(.*?)```", REFERENCE, re.DOTALL)
)
def test_refusals_of_the_reference_read_as_it_says(text: str, problems: str) -> None:
    """The messages in the user's reference are the sidecar's own."""
    assert _refused(text) == problems.splitlines()


def test_hints_name_no_name_that_is_none() -> None:
    """What cannot be a datacenter is shown escaped where it stands, and is proposed nowhere."""
    problems = _refused('datacenters: {dc1: {}, "dc\\e[31m2": {}}\ndefault: zulu\n')
    assert len(problems) == 2
    assert all(problem.isprintable() for problem in problems)
    assert problems[1].endswith("it has dc1")


def test_the_datacenters_of_a_document_are_all_that_it_names() -> None:
    """Those of its block; without one those of routes, of jobs and of drills, each once and in the text's order."""
    text = b"""
default: {active: dc1, backups: [dc2]}
apps: {a: {split: {dc3: 1, dc1: 1}, jobs: {"7": dc4}}}
drills: [{datacenter: dc5, until: "2026-01-01T00:00:00Z"}]
"""
    document = parse_document(text)
    assert document.datacenter_names() == ("dc1", "dc2", "dc3", "dc4", "dc5")
    assert document.datacenter_names() is document.datacenter_names()
    assert parse_document(b"datacenters: [dc9, dc1]\ndefault: dc1").datacenter_names() == ("dc9", "dc1")
    assert parse_document(b"{}").datacenter_names() == ()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("apps: {{a: {{split: {{{weights}}}}}}}", "apps.a.split"),
        ("default: {{active: d0, backups: [{names}]}}", "default.backups"),
        ("datacenters: [{names}]", "datacenters"),
        ("datacenters: {{{settings}}}", "datacenters"),
        ("apps: {{{apps}}}", "apps.a1000"),
    ],
)
def test_a_document_has_a_thousand_datacenters_at_most(text: str, path: str) -> None:
    """In its block, a split, backups, and in all that it names; the error names the place and the remedy."""
    for count in (1000, 1001):
        names = [f"d{number}" for number in range(count)]
        written = text.format(
            weights=", ".join(f"{name}: 1" for name in names),
            names=", ".join(names),
            settings=", ".join(f"{name}: {{}}" for name in names),
            apps=", ".join(f"a{number}: {name}" for number, name in enumerate(names)),
        ).encode()
        if count == 1000:
            parse_document(written)
            continue
        with pytest.raises(DocumentRejected) as refused:
            parse_document(written)
        problem = refused.value.problems[0]
        assert problem.path == path
        assert problem.message.endswith("the 1,000 allowed: name larger groups of workers as one")


def test_routes_and_networks_count_beside_their_entries() -> None:
    """What becomes a route or a network needs more than its entry in the tree, and is refused where it stands."""
    apps = "apps:\n a: d\n b: d\n"
    assert _beyond(apps, 5 * NODE + 8 * len(apps) + 400) == "apps.b"
    cidrs = "datacenters: {a: {cidrs: [10.0.0.0/16, 10.1.0.0/16]}}"
    assert _beyond(cidrs, 9 * NODE + 8 * len(cidrs)) == "datacenters.a.cidrs[0]"


def _beyond(text: str, budget: int) -> str:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(text.encode(), budget=budget)
    return caught.value.problems[0].path
