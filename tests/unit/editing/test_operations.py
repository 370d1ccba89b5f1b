"""What each operation writes, to the character."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from sidecar.editing import operations
from sidecar.editing.rewrite import rewrite
from sidecar.errors import ChangeRefused
from sidecar.routing.document import parse_document
from sidecar.routing.model import Ramp, RoutingDocument
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import SECOND_NS, format_time, parse_time
from sidecar.routing.schedule import ramp_step, step_time, weights_at
from sidecar.yaml_reader import Tree

_HOUR = 3600 * SECOND_NS
_START = parse_time("2026-11-22T10:00:00Z") or 0

Operation = Callable[[Tree, RoutingDocument], Tree]

_FULL = """\
# Ours; ask lin before you touch it.
version: 1
datacenters: {dc1: {}, dc2: {}, dc3: {}}
default:
  active: dc1   # the old hall
  backups: [dc2, dc3]
apps:
  "7": dc2      # the number of invoices
  billing:
    # moved on Tuesdays only
    split: {dc1: 90, dc2: 10}   # gray release
    jobs:
      "1001": dc3
  reports:
    ramp: {from: dc1, to: dc2, start: "2026-11-22T10:00:00Z", duration: 2h, steps: 8}
    min_workers: 2
  plain:
    backups: []
"""


def _after(text: str, operation: Operation) -> str:
    parsed = parse_text(dedent(text).encode())
    assert parsed.document is not None
    result = rewrite(parsed, operation(parsed.tree, parsed.document))
    assert result.refusal is None
    return result.text.decode()


def _changed(text: str, operation: Operation) -> list[str]:
    """Return the lines that differ, marked as in a difference without its context."""
    old, new = text.splitlines(), _after(text, operation).splitlines()
    return [f"-{line}" for line in old if line not in new] + [f"+{line}" for line in new if line not in old]


@pytest.mark.parametrize(
    ("app", "lines"),
    [
        pytest.param(
            "7", ['-  "7": dc2      # the number of invoices', '+  "7": dc3      # the number of invoices'], id="name"
        ),
        pytest.param(
            "billing",
            ["-    split: {dc1: 90, dc2: 10}   # gray release", "+    active: dc3   # gray release"],
            id="split",
        ),
        pytest.param(
            "reports",
            [
                '-    ramp: {from: dc1, to: dc2, start: "2026-11-22T10:00:00Z", duration: 2h, steps: 8}',
                "+    active: dc3",
            ],
            id="ramp",
        ),
        pytest.param("plain", ["+    active: dc3"], id="no selector"),
        pytest.param("new", ["+  new: dc3"], id="new"),
    ],
)
def test_switch_changes_one_line(app: str, lines: list[str]) -> None:
    """Whatever the route of an application looks like, a switch touches the line of its selector only."""
    assert _changed(_FULL, lambda tree, _: operations.switch(tree, "dc3", [app])) == lines


def test_switch_of_everything_leaves_jobs_and_heirs() -> None:
    """`--all` switches the default and each application that has a selector; a pinned job keeps its place."""
    after = parse_document(_after(_FULL, lambda tree, _: operations.switch(tree, "dc2", everything=True)).encode())
    for app in ("7", "billing", "reports", "plain", "other"):
        assert weights_at(after.route(app).selector, 0) == (("dc2", 1.0),)  # type: ignore[arg-type]
    assert weights_at(after.route("billing", "1001").selector, 0) == (("dc3", 1.0),)  # type: ignore[arg-type]
    assert "plain:\n    backups: []\n" in _after(_FULL, lambda tree, _: operations.switch(tree, "dc2", everything=True))


@pytest.mark.parametrize("text", ["dc1", "dc1\n", "\ufeff dc1 \r\n", '"dc1"\n', "# which?\ndc1\n"])
def test_a_bare_word_stays_one_where_it_can_say_the_change(text: str) -> None:
    """A switch of the default route changes the word, and keeps what is around it."""
    assert _after(text, lambda tree, _: operations.switch(tree, "dc2", default=True)) == text.replace("dc1", "dc2")


def test_a_bare_word_becomes_a_document_where_it_must() -> None:
    """What a bare word cannot say makes it the default route of a document."""
    assert (
        _after("dc1\n", lambda tree, _: operations.switch(tree, "dc2", ["billing"]))
        == "default: dc1\napps:\n  billing: dc2\n"
    )


def test_json_stays_json() -> None:
    """New keys and names are quoted, numbers are not, and the layout is that of the text."""
    text = '{\n    "default": "dc1",\n    "apps": {\n        "7": {"split": {"dc1": 90, "dc2": 10}}\n    }\n}\n'
    assert _after(text, lambda tree, _: operations.shift(tree, "7", {"dc1": "80", "dc3": "20"})) == text.replace(
        '{"dc1": 90, "dc2": 10}', '{"dc1": 80, "dc3": 20}'
    )
    assert _after(text, lambda tree, _: operations.pin(tree, "new", "1", "dc2")) == text.replace(
        "}}\n", '}},\n        "new": {"jobs": {"1": "dc2"}}\n', 1
    )


def test_shift_changes_the_numbers_in_place() -> None:
    """A split that is there keeps its order and its comment; names that are not given go."""
    assert _changed(_FULL, lambda tree, _: operations.shift(tree, "billing", {"dc3": "5", "dc2": "15.5"})) == [
        "-    split: {dc1: 90, dc2: 10}   # gray release",
        "+    split: {dc2: 15.5, dc3: 5}   # gray release",
    ]


def test_pin_and_unpin_leave_no_trace() -> None:
    """Pinning a job of an application with a bare name, and letting it go, costs the bare name, nothing else."""
    pinned = _after(_FULL, lambda tree, _: operations.pin(tree, "7", "42", "dc1"))
    assert '"7":\n    active: dc2\n    jobs:\n      "42": dc1' in pinned
    loose = _after(pinned, lambda tree, _: operations.unpin(tree, "7", "42"))
    assert parse_document(loose.encode()).apps["7"] == parse_document(_FULL.encode()).apps["7"]
    assert (
        _after("dc1", lambda tree, _: operations.unpin(operations.pin(tree, "a", "1", "dc2"), "a", "1"))
        == "default: dc1"
    )
    with pytest.raises(ChangeRefused, match="has no route of its own"):
        _after(_FULL, lambda tree, _: operations.unpin(tree, "7", "1"))


def test_drills_are_put_in_the_manner_of_those_there_are() -> None:
    """A drill is added at the end of the list, in brackets or without, as the last one is written."""
    one = 'default: dc1\ndrills:\n- datacenter: dc1   # us\n  until: "2026-11-22T15:00:00Z"\n'
    two = _after(
        one,
        lambda tree, _: operations.start_drill(
            tree, "dc2", start="2026-11-22T14:00:00Z", until="2026-11-22T15:00:00Z", apps=["7"], reason="no: really"
        ),
    )
    assert two == one + (
        '- datacenter: dc2\n  start: "2026-11-22T14:00:00Z"\n  until: "2026-11-22T15:00:00Z"\n'
        '  apps: ["7"]\n  reason: "no: really"\n'
    )
    assert _after(two, lambda tree, _: operations.stop_drills(tree, [1])) == one
    assert _after(one, lambda tree, _: operations.stop_drills(tree, [0])) == "default: dc1\n"


def test_mark_writes_a_block_that_names_everything() -> None:
    """Without a `datacenters` block a mark makes one, of all names in use, so that the document stays valid."""
    text = "default: {active: dc1, backups: [dc2]}\napps:\n  a: {split: {dc3: 1, dc4: 0}}\n"
    assert _after(text, lambda tree, doc: operations.mark(tree, doc, "dc2", available=False)) == (
        "datacenters:\n  dc1: {}\n  dc2: {available: false}\n  dc3: {}\n  dc4: {}\n" + text
    )
    with pytest.raises(ChangeRefused, match="has no datacenter dc9, it has dc1, dc2, dc3, dc4"):
        _after(text, lambda tree, doc: operations.mark(tree, doc, "dc9", available=False))


def test_drains_are_added_changed_and_taken_out() -> None:
    """A second one joins the first, one that is there is written anew, and the last one takes the key with it."""

    def drained(text: str, match: str, *, undo: bool = False, reason: str = "") -> str:
        return _after(text, lambda tree, doc: operations.drain(tree, doc, match, undo=undo, reason=reason))

    text = "default: dc1\n"
    one = drained(text, "10.1.0.7:*", reason="disk")
    assert one == text + 'workers:\n  - {match: "10.1.0.7:*", available: false, reason: disk}\n'
    two = drained(one, "10.1.0.0/28")
    assert [rule.match for rule in parse_document(two.encode()).workers] == ["10.1.0.7:*", "10.1.0.0/28"]
    anew = drained(two, "10.1.0.7:*", reason="memory")
    assert [rule.reason for rule in parse_document(anew.encode()).workers] == ["memory", ""]
    assert drained(drained(two, "10.1.0.0/28", undo=True), "10.1.0.7:*", undo=True) == text
    with pytest.raises(ChangeRefused, match=r"expected one of: 10\.1\.0\.7:\*"):
        drained(one, "10.1.0.7:1", undo=True)


@pytest.mark.parametrize("block", ["datacenters: [dc1, dc2, dc3]", "datacenters: {dc1: {}, dc2: {}, dc3: {}}"])
def test_a_mark_can_be_taken_back(block: str) -> None:
    """Down and up again leaves everything in service, whichever form the block has."""
    text = f"{block}\ndefault: dc1\n"
    down = _after(text, lambda tree, doc: operations.mark(tree, doc, "dc2", available=False))
    assert "dc2: {available: false}" in down
    up = _after(down, lambda tree, doc: operations.mark(tree, doc, "dc2", available=True))
    assert "available" not in up


def _ramped(start_ns: int, *, steps: int = 8, duration: str = "2h") -> str:
    start = format_time(start_ns)
    return (
        f'default:\n  ramp: {{from: dc1, to: dc2, start: "{start}", duration: {duration}, steps: {steps}}}  # slowly\n'
    )


@pytest.mark.parametrize("steps", [1, 3, 7, 8, 1000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_pause_and_resume_move_no_job(steps: int, share: float) -> None:
    """A paused ramp weighs what the ramp weighed, and one that goes on starts from there, with a whole step ahead."""
    now = _START + int(share * 2 * _HOUR)
    text = _ramped(_START, steps=steps)
    ramp = parse_document(text.encode()).default.selector
    assert isinstance(ramp, Ramp)
    paused = _after(text, lambda tree, doc: operations.pause_ramp(tree, doc, None, now))
    selector = parse_document(paused.encode()).default.selector
    assert selector is not None
    assert weights_at(selector, 0) == weights_at(ramp, now)
    later = now + 5 * _HOUR + 123_456_789
    resumed = _after(paused, lambda tree, doc: operations.resume_ramp(tree, doc, None, later))
    again = parse_document(resumed.encode()).default.selector
    assert isinstance(again, Ramp)
    taken = ramp_step(ramp, now)
    assert ramp_step(again, later) == taken
    whole = ramp.duration_ns // steps
    assert abs(step_time(again, taken + 1) - later - whole) <= 3_000_000
    assert "paused" not in resumed
    assert "# slowly" in resumed


def test_the_note_of_a_paused_ramp_goes_with_the_split() -> None:
    """Whatever else becomes of the route, no note is left that a resume could mistake."""
    text = _ramped(_START)
    paused = _after(text, lambda tree, doc: operations.pause_ramp(tree, doc, None, _START + _HOUR))
    assert 'paused: {default: {from: dc1, to: dc2, duration: "2h", steps: 8}}' in paused
    switched = _after(paused, lambda tree, _: operations.switch(tree, "dc1", default=True))
    assert "paused" not in switched
    with pytest.raises(ChangeRefused, match="no paused ramp"):
        _after(switched, lambda tree, doc: operations.resume_ramp(tree, doc, None, _START))
    by_hand = paused.replace("dc1: 4", "dc1: 5")
    assert by_hand != paused
    with pytest.raises(ChangeRefused, match="was changed since"):
        _after(by_hand, lambda tree, doc: operations.resume_ramp(tree, doc, None, _START))


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize(("finish", "to"), [(True, "dc2"), (False, "dc1")])
def test_a_ramp_ends_in_one_of_its_two_places(paused: bool, finish: bool, to: str) -> None:
    """Finished, all jobs are where it leads, aborted, where it came from, also from a pause."""
    text = _ramped(_START)
    if paused:
        text = _after(text, lambda tree, doc: operations.pause_ramp(tree, doc, None, _START + _HOUR))
    ended = _after(text, lambda tree, doc: operations.end_ramp(tree, doc, None, finish=finish))
    assert ended == f"default:\n  active: {to}  # slowly\n"


def test_there_must_be_a_ramp_to_pause_or_to_end() -> None:
    """Without a ramp, or with one that is over, the operations say so."""
    with pytest.raises(ChangeRefused, match="has no ramp"):
        _after("dc1", lambda tree, doc: operations.pause_ramp(tree, doc, "a", 0))
    with pytest.raises(ChangeRefused, match="has no ramp"):
        _after("dc1", lambda tree, doc: operations.end_ramp(tree, doc, "a", finish=True))
    with pytest.raises(ChangeRefused, match="has ended"):
        _after(_ramped(_START), lambda tree, doc: operations.pause_ramp(tree, doc, None, _START + 3 * _HOUR))


def test_an_inherited_ramp_is_paused_for_one_application() -> None:
    """Pausing the ramp that an application inherits gives it a split of its own; the default goes on."""
    text = _ramped(_START)
    paused = parse_document(_after(text, lambda t, d: operations.pause_ramp(t, d, "billing", _START + _HOUR)).encode())
    assert isinstance(paused.default.selector, Ramp)
    assert weights_at(paused.route("billing").selector, 0) == (("dc1", 4.0), ("dc2", 4.0))  # type: ignore[arg-type]


def _failed_back(text: str, *apps: str | None) -> str:
    """Return what a document is after work was sent back at the ninth second."""
    return _after(text, lambda tree, document: operations.fail_back(tree, document, apps, 9 * SECOND_NS))


_INHERITED = """\
default:
  active: dc1
  failover: {after: 10s, back: manual}
apps:
  billing: dc2
"""


def test_a_failover_rule_of_its_own_gets_the_time() -> None:
    """When work was sent back stands in the rule, which is otherwise what it was."""
    text = "default: {active: dc1, failover: {back: manual}}\n"
    after = _failed_back(text, None)
    rule = parse_document(after.encode()).default.failover
    assert rule is not None
    assert (rule.failed_back_ns, rule.back.value) == (9 * SECOND_NS, "manual")
    assert parse_document(_failed_back(after, None).encode()).default.failover == rule


def test_an_inherited_failover_rule_is_taken_over() -> None:
    """An application that inherits the rule gets one of its own, equal but for the time; the others go on as before."""
    after = parse_document(_failed_back(_INHERITED, "billing").encode())
    rule = after.route("billing").failover
    assert rule is not None
    assert (rule.after_ns, rule.back.value, rule.failed_back_ns) == (10 * SECOND_NS, "manual", 9 * SECOND_NS)
    assert after.default.failover == parse_document(_INHERITED.encode()).default.failover
    assert after.route("billing").names == ("dc2",)


def test_failback_of_an_application_that_the_document_does_not_name() -> None:
    """It never failed over with patience: nothing is remembered of names that anybody can make up."""
    with pytest.raises(ChangeRefused, match="reports has no `failover` key: its work returns by itself"):
        _failed_back(_INHERITED, "reports")


def test_without_a_failover_rule_there_is_nothing_to_send_back() -> None:
    """Work of a route without the key returns by itself, and a note says so."""
    with pytest.raises(ChangeRefused, match="billing has no `failover` key: its work returns by itself"):
        _failed_back("default: dc1\n", "billing")
