import pytest

from sidecar.routing.lint import warnings
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import parse_time

NOW = parse_time("2026-11-22T10:00:00Z") or 0


def _warnings(text: str) -> list[str]:
    parsed = parse_text(text.encode())
    assert parsed.refusal is None
    return [str(problem) for problem in warnings(parsed, NOW)]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "default: {split: {dc1: 80, dc2: 10}}",
            "default.split (line 1, column 18)",
            "add up to 90, not to 100: dc1 gets 88.9 %",
        ),
        ("default: {split: {dc1: 0.5, dc2: 0.4}}", "default.split", "add up to 0.9, not to 1"),
        (
            "default: {active: dc1, backups: [dc2, dc1]}",
            "default.backups[1] (line 1, column 39)",
            "is the active one already",
        ),
        ("default: {active: dc1}\napps: {a: {backups: [dc1]}}", "apps.a.backups[0]", "is the active one already"),
        ("default: {split: {dc1: 1, dc2: 1}, backups: [dc2]}", "default.backups[0]", "is in the split already"),
        (
            "default: {ramp: {from: dc1, to: dc2, start: '2026-01-01T00:00:00Z', duration: 2h}}",
            "default.ramp",
            "finished at 2026-01-01T02:00:00Z: write `active: dc2` instead",
        ),
        (
            "default: dc1\nworkers: [{match: 'w-1:*'}]",
            "workers[0]",
            "w-1:* is available, as without this entry: remove it, or set available: false",
        ),
        (
            "default: dc1\nworkers: [{match: 'w-*', available: false}, {match: 'w-1:*', available: false}]",
            "workers[1].match",
            "w-* covers it already: the entry changes nothing",
        ),
        (
            "drills: [{datacenter: dc1, until: '2026-11-22T10:00:00Z'}]",
            "drills[0].until",
            "over since 2026-11-22T10:00:00Z",
        ),
        (
            "apps: {billing: dc1}\ndrills: [{datacenter: dc1, until: '2027-01-01T00:00:00Z', apps: [biling]}]",
            "drills[0].apps (line 2",
            "biling has no route of its own: did you mean billing?",
        ),
        ("default: {active: dc1, min_workers: 100001}", "default.min_workers", "more than the 100000 candidates"),
        ("default: no", "default (line 1, column 10)", "the name no is a boolean to other YAML readers"),
        ("default: {active: dc1, backups: [null]}", "default.backups[0]", "the name null is null"),
        ("apps: {a: {split: {on: 1, dc2: 1}}}", "apps.a.split.on (line 1, column 20)", "the name on is a boolean"),
        ("apps: {a: {jobs: {'1': 1.5}}}", "apps.a.jobs.1", "the name 1.5 is a number"),
        ("datacenters: [y, dc2]", "datacenters[0]", "the name y is a boolean"),
        ("default: {backups: [dc2]}", "default.backups", "every candidate passes, backups or not"),
        ("apps: {a: {jobs: {x: {min_workers: 2}}}}", "apps.a.jobs.x.min_workers", "every candidate passes"),
        (
            "datacenters: {dc1: {available: false}, dc2: {available: false}}\ndefault: {active: dc1, backups: [dc2]}",
            "default (line 2, column 10)",
            "all its datacenters (dc1, dc2) are marked `available: false`: nobody runs its jobs",
        ),
        (
            "datacenters: {dc1: {cidrs: [10.0.0.0/8]}, dc2: {cidrs: [10.1.0.0/16]}}",
            "datacenters.dc2.cidrs[0]",
            "10.1.0.0/16 lies within 10.0.0.0/8 of dc1: its addresses are dc2's",
        ),
        (
            "default: {active: dc1, backups: [dc2], failover: {after: 10s}}",
            "default.failover (line 1, column 40)",
            "applications that are not named under `apps` inherit no patience: with them each call fails over",
        ),
        ("datacenters: {dc1: {cidrs: [fd00::/8, fd00:1::/32]}}", "datacenters.dc1.cidrs[1]", "it changes nothing"),
    ],
)
def test_odd_documents_are_warned_of_at_their_place(text: str, place: str, message: str) -> None:
    """What is legal but odd is reported once, with path, line, column, and what comes of it."""
    (warning,) = _warnings(text)
    assert warning.startswith(place)
    assert message in warning


@pytest.mark.parametrize(
    "text",
    [
        "dc2",
        "no",
        "'dc2'",
        "default: 'no'",
        "apps: {a: dc1}\ndrills: [{datacenter: dc1, until: '2026-11-22T10:00:01Z', apps: [a]}]",
        '{"default": "null", "apps": {"a": {"split": {"on": 1, "off": 1}}}}',
        "default: {split: {dc1: 1, dc2: 1}}",
        "default: {split: {dc1: 3, dc2: 1}}",
        "default: {split: {dc1: 90, dc2: 10}}",
        "default: {split: {dc1: 33.3, dc2: 33.3, dc3: 33.4}}",
        "default: {split: {dc1: 0.1, dc2: 0.2, dc3: 0.7}}",
        "default: {split: {dc1: 900, dc2: 100}}",
        "default: {split: {dc1: 100, dc2: 0}, backups: [dc2]}",
        # The shorthand inherits backups, in which its datacenter may well be.
        "default: {active: dc1, backups: [dc2, dc3]}\napps: {a: dc2}",
        "default: {backups: [dc2]}\napps: {a: dc1}",
        "default: {ramp: {from: dc1, to: dc2, start: '2026-11-22T00:00:00Z', duration: 2h}, backups: [dc2]}",
        "drills: [{datacenter: dc1, until: '2026-11-22T10:00:01Z'}]",
        "datacenters: {dc1: {available: false}, dc2: {}}\ndefault: {active: dc1, backups: [dc2]}",
        "datacenters: {dc1: {cidrs: [10.1.0.0/16]}, dc2: {cidrs: [10.2.0.0/16]}}",
        "apps: {7: dc1, no: dc1}",
        "default: {active: dc1}\napps: {a: {backups: [dc2], failover: {after: 10s}}}",
        "{}",
    ],
)
def test_usual_documents_are_not_warned_of(text: str) -> None:
    """What many documents have for good reason is not odd."""
    assert _warnings(text) == []


def test_warnings_come_in_the_order_of_the_text() -> None:
    """Several warnings are reported from top to bottom."""
    found = _warnings(
        "drills: [{datacenter: no, until: '2020-01-01T00:00:00Z'}]\ndefault: {split: {dc1: 50, dc2: 20}}\n"
    )
    assert [warning.partition(" ")[0] for warning in found] == [
        "drills[0].datacenter",
        "drills[0].until",
        "default.split",
    ]


@pytest.mark.parametrize("line_break", ["\r", "\x85", "\u2028"])
def test_lines_are_counted_as_the_parser_counts_them(line_break: str) -> None:
    """Rare line breaks do not mislead the search for a name's quotes."""
    text = f"apps:{line_break}  a: no{line_break}  b: 'no'{line_break}"
    (warning,) = _warnings(text)
    assert warning.startswith("apps.a (line 2, column 6): the name no is a boolean")


def test_json_that_only_jsons_parser_reads_is_warned_of_without_places() -> None:
    """YAML's parser refuses halves of characters, which JSON may escape: what is odd is reported all the same."""
    text = '{"meta": {"by": "\\ud83d\\ude00"}, "default": {"split": {"dc1": 80, "dc2": 10}}}'
    (warning,) = _warnings(text)
    assert warning.startswith("default.split: the weights add up to 90")
