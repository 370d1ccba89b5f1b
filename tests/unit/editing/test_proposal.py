"""What an operator is shown before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from sidecar.editing import verbs
from sidecar.editing.live_workers import LiveWorkers, LiveWorkersLookup
from sidecar.editing.meta import ChangeMeta
from sidecar.editing.proposal import CurrentDocument, Edit, Proposal, difference, propose, read_current
from sidecar.editing.safety_rules import SafetyRules, enforce
from sidecar.editing.wording import cause_text, movement_text
from sidecar.errors import ChangeRefused
from sidecar.routing.document import parse_document
from sidecar.routing.outage import Fault, FaultKind, unhealthy
from sidecar.routing.scalars import SECOND_NS, format_time, parse_time
from sidecar.yaml_reader import Tree

_NOW = parse_time("2026-11-22T10:00:00Z") or 0
_MINUTE = 60 * SECOND_NS

_TEXT = b"""\
meta: {by: kim, at: "2026-11-22T09:00:00Z", reason: earlier, ticket: OPS-1, team: core}
default: {active: dc1, backups: [dc2]}
apps:
  billing: {split: {dc1: 90, dc2: 10}, jobs: {"1001": dc3}}
  alone: {active: dc1, backups: []}
"""


def _proposed(
    edit: Edit,
    text: bytes = _TEXT,
    *,
    rules: SafetyRules | None = None,
    counts: Mapping[str, int] | None = None,
    ask: LiveWorkersLookup | None = None,
    reason: str = "",
    full: bool = False,
) -> Proposal:
    stamp = ChangeMeta(by="lin", at_ns=_NOW, reason=reason)
    return propose(
        read_current(text), edit, stamp=stamp, rules=rules or SafetyRules(), counts=counts, ask=ask, full_document=full
    )


def _switch(to: str, *apps: str, everything: bool = False) -> Edit:
    def make(opened: CurrentDocument, _: int) -> Tree:
        return verbs.switch(opened.valid()[0], to, apps, everything=everything)

    return Edit(make=make, moves_work=True, apps=apps)


def _lines(proposal: Proposal) -> list[str]:
    return [
        f"{cause_text(moment.cause) or 'now'}: {movement_text(movement)}"
        for moment in proposal.comparison.moments
        for movement in moment.movements
    ]


def _rules_broken(proposal: Proposal) -> list[str]:
    return [objection.rule for objection in proposal.violations]


def test_a_switch_tells_what_moves() -> None:
    """Only the jobs that were elsewhere move, and the rest of the applications is not mentioned."""
    assert _lines(_proposed(_switch("dc2", "billing"))) == ["now: billing: 90 % of jobs dc1 → dc2"]


def test_applications_that_move_alike_are_told_together() -> None:
    """What moves from and to the same places is one line, the unnamed rest last in it."""
    proposal = _proposed(_switch("dc2", everything=True))
    assert _lines(proposal) == [
        "now: billing: 90 % of jobs dc1 → dc2",
        "now: alone, every other application: all jobs dc1 → dc2",
    ]


def test_a_ramp_tells_where_it_ends() -> None:
    """A ramp moves nothing when it is written, and all by its end."""
    edit = Edit(
        make=lambda opened, _: verbs.start_ramp(
            opened.valid()[0], "x", source="dc1", target="dc2", start=format_time(_NOW), duration="2h", steps=8
        )
    )
    assert _lines(_proposed(edit)) == ["the ramp to dc2 has taken 8 steps: x: all jobs dc1 → dc2"]


def test_a_drill_tells_both_ways() -> None:
    """A drill sends work away at its start and back at its end."""
    edit = Edit(
        make=lambda opened, _: verbs.start_drill(
            opened.valid()[0],
            "dc1",
            start=format_time(_NOW + _MINUTE),
            until=format_time(_NOW + 2 * _MINUTE),
            apps=["billing"],
        ),
        moves_work=True,
    )
    proposal = _proposed(edit)
    assert _lines(proposal) == [
        "the drill of dc1 starts: billing: 90 % of jobs dc1 → dc2",
        "the drill of dc1 ends: billing: 90 % of jobs dc2 → dc1 (then dc1 90 %, dc2 10 %)",
    ]


def test_known_workers_are_told_and_weighed() -> None:
    """With the live workers known, the target's are told, and one without any is a reason to refuse."""
    assert "live workers: dc2 3" in _proposed(_switch("dc2", "billing"), counts={"dc1": 1, "dc2": 3}).notes
    proposal = _proposed(_switch("dc2", "billing"), counts={"dc1": 1})
    assert [str(o.message) for o in proposal.violations] == [
        "dc2 has no live worker, expected at least 1: start more there"
    ]
    short = _proposed(_switch("dc2", "billing"), counts={"dc2": 1}, rules=SafetyRules(require_workers=2))
    assert _rules_broken(short) == ["workers"]
    unknown = _proposed(_switch("dc2", "billing"), rules=SafetyRules(require_workers=2))
    assert _rules_broken(unknown) == ["workers"]
    assert _rules_broken(_proposed(_switch("dc2", "billing"))) == []


def _seen(**workers: Mapping[str, int]) -> LiveWorkersLookup:
    """Return who has seen these workers of applications five seconds ago, and is asked about those that move only."""

    def ask(apps: Collection[str], revision: str) -> Mapping[str, LiveWorkers]:
        assert apps
        assert revision
        assert set(apps) <= {"billing", "alone"}
        return {app: LiveWorkers(workers[app], _NOW - 5 * SECOND_NS) for app in apps if app in workers}

    return ask


def test_seen_workers_are_told_and_weighed_by_application() -> None:
    """What a sidecar was told of an application's workers counts for that one, and is told with its age."""
    ask = _seen(billing={"dc1": 2, "dc2": 3}, alone={"dc1": 4})
    well = _proposed(_switch("dc2", "billing"), ask=ask)
    assert _rules_broken(well) == []
    assert _lines(well) == ["now: billing: 90 % of jobs dc1 → dc2"]
    assert "live workers: dc2 3, as a sidecar was told up to 5s ago" in well.notes
    both = _proposed(_switch("dc2", "billing", "alone"), ask=ask)
    (objection,) = both.violations
    assert objection.message == (
        "dc2 has no live worker of alone, expected at least 1: as of a request 5s ago; start more there, or name the "
        "live workers with --candidates"
    )
    assert "live workers: dc2 0 to 3 (by application), as a sidecar was told up to 5s ago" in both.notes
    short = _proposed(_switch("dc2", "billing"), ask=ask, rules=SafetyRules(require_workers=4))
    assert "dc2 has 3 live workers of billing, expected at least 4" in short.violations[0].message


def test_what_is_said_goes_before_what_was_seen() -> None:
    """With counts nobody is asked; for an application nobody has seen, and for those without a name, none are known."""
    ask = _seen(billing={"dc1": 2})
    assert _rules_broken(_proposed(_switch("dc2", "billing"), ask=ask, counts={"dc2": 1})) == []
    unknown = _proposed(_switch("dc2", "alone"), ask=ask)
    assert _rules_broken(unknown) == []
    assert "it is not known how many workers there are in dc2; --candidates tells" in unknown.notes
    demanded = _proposed(_switch("dc2", everything=True), ask=_seen(), rules=SafetyRules(require_workers=1))
    assert [o.message for o in demanded.violations] == ["it is not known how many workers dc2 has: give --candidates"]
    partly = _proposed(_switch("dc2", everything=True), ask=_seen(billing={"dc2": 1}))
    assert any("it is not known for all of them how many workers" in note for note in partly.notes)


def test_a_route_needs_as_many_workers_as_it_says() -> None:
    """`min_workers` of a route counts for the rule about workers too."""
    text = b"default: {active: dc1, backups: [dc2], min_workers: 3}"
    assert _rules_broken(_proposed(_switch("dc2", "a"), text, counts={"dc1": 5, "dc2": 2})) == ["workers"]


def test_a_route_must_keep_a_datacenter_in_service() -> None:
    """A mark that leaves a route nowhere to go is refused, and one that was so before is not blamed on the change."""
    edit = Edit(make=lambda opened, _: verbs.mark(*opened.valid(), "dc1", available=False), moves_work=True)
    proposal = _proposed(edit)
    assert _rules_broken(proposal) == ["out-of-service"]
    assert proposal.violations[0].message.startswith("alone would have no datacenter in service: dc1 is out (marked)")
    unrelated = _proposed(_switch("dc2", "billing"), proposal.text, rules=SafetyRules(hold_off=0))
    assert _rules_broken(unrelated) == []


def test_a_drill_that_would_leave_nobody_is_refused_for_its_time() -> None:
    """Also a drill that is still to come is judged by what it will do."""
    edit = Edit(
        make=lambda opened, _: verbs.start_drill(
            opened.valid()[0], "dc1", start="2026-11-23T10:00:00Z", until="2026-11-23T11:00:00Z"
        )
    )
    objection = _proposed(edit).violations[0]
    assert objection.rule == "out-of-service"
    assert "from 2026-11-23T10:00:00Z" in objection.message


def test_a_change_that_changes_nothing_is_refused() -> None:
    """Source and target are equal also where the text would change, as by writing down what is inherited."""
    assert _rules_broken(_proposed(_switch("dc1", "other"))) == ["same"]
    assert _rules_broken(_proposed(_switch("dc1", "alone"))) == ["same"]


@pytest.mark.parametrize(("minutes", "broken"), [(0, ["hold-off"]), (0.9, ["hold-off"]), (1, []), (-1, [])])
def test_two_changes_keep_a_distance(minutes: float, broken: list[str]) -> None:
    """Within the hold-off after `meta.at` the next one is refused; a clock that is ahead locks nobody out."""
    at = format_time(_NOW - int(minutes * _MINUTE))
    text = _TEXT.replace(b"2026-11-22T09:00:00Z", at.encode())
    assert _rules_broken(_proposed(_switch("dc2", "billing"), text)) == broken
    if broken:
        assert "the last change by kim" in _proposed(_switch("dc2", "billing"), text).violations[0].message


def test_a_reason_can_be_demanded() -> None:
    """Where the configuration demands a reason, a change without one is refused."""
    assert _rules_broken(_proposed(_switch("dc2", "billing"), rules=SafetyRules(require_reason=True))) == ["reason"]
    assert (
        _rules_broken(_proposed(_switch("dc2", "billing"), rules=SafetyRules(require_reason=True), reason="why")) == []
    )


def test_force_names_the_rules_it_overrides() -> None:
    """Forcing one rule does not force another, and the refusal says how to go on."""
    proposal = _proposed(_switch("dc1", "alone"), rules=SafetyRules(require_reason=True))
    with pytest.raises(ChangeRefused, match=r"(?s)same: .*reason: .*--force same --force reason"):
        enforce(proposal.violations, ())
    with pytest.raises(ChangeRefused, match=r"--force reason$"):
        enforce(proposal.violations, ("same",))
    enforce(proposal.violations, ("same", "reason"))


def test_what_is_under_way_is_shown() -> None:
    """A running ramp or drill where the change is made is told, and whether the change ends it."""
    text = b"""\
default: {ramp: {from: dc1, to: dc2, start: "2026-11-22T09:00:00Z", duration: 2h, steps: 8}}
drills: [{datacenter: dc3, until: "2026-11-22T11:00:00Z", reason: Q4}, {datacenter: dc3, until: "2026-11-22T09:00:00Z"}]
"""
    notes = _proposed(_switch("dc4", "a"), text).notes
    assert "a drill has dc3 out until 2026-11-22T11:00:00Z (Q4)" in notes
    assert "a is on a ramp from dc1 to dc2, 4 of 8 steps taken; this ends it" in notes
    assert len([note for note in notes if "drill" in note]) == 1


def test_a_near_name_is_pointed_out() -> None:
    """An application that is new and close to one that is there may be a slip."""
    assert "biling is new in this document, which has billing" in _proposed(_switch("dc2", "biling")).notes
    assert "jobs of billing with routes of their own: 1001" in _proposed(_switch("dc2", "billing")).notes


def test_the_stamp_replaces_that_of_the_change_before() -> None:
    """Who and when are always new; an old reason and ticket do not stay as if they were this change's."""
    meta = parse_document(_proposed(_switch("dc2", "billing")).text).meta
    assert meta == {"by": "lin", "at": "2026-11-22T10:00:00Z", "team": "core"}


def test_a_bare_word_is_stamped_only_if_asked() -> None:
    """A bare word has no room for `meta`; with --meta it becomes a document that has."""
    edit = Edit(make=lambda opened, _: verbs.switch(opened.valid()[0], "dc2", default=True), moves_work=True)
    assert _proposed(edit, b"dc1\n").text == b"dc2\n"
    assert _proposed(edit, b"dc1\n", full=True, reason="it's hot").text == (
        b'meta: {by: lin, at: "2026-11-22T10:00:00Z", reason: "it\'s hot"}\ndefault: dc2\n'
    )


def test_what_would_be_no_document_is_refused_with_its_place() -> None:
    """A name that the document's own datacenters block does not have is told as `check` would tell it."""
    text = b"datacenters: [dc1, dc2]\ndefault: dc1\n"
    with pytest.raises(ChangeRefused, match=r"apps\.a \(line \d+, column \d+\): found dc22.*did you mean"):
        _proposed(_switch("dc22", "a"), text)


def test_a_broken_or_missing_document_is_for_other_verbs() -> None:
    """A verb that changes a part needs a valid whole, and says which verbs do not."""
    with pytest.raises(ChangeRefused, match="dc-sidecar init"):
        read_current(None).valid()
    with pytest.raises(ChangeRefused, match=r"(?s)dc-sidecar edit.*unknown key"):
        read_current(b"backup: dc1").valid()


def test_a_whole_text_replaces_also_a_broken_one() -> None:
    """Where what was there cannot be read, the effect tells where everything goes now."""
    proposal = _proposed(Edit(make=lambda *_: b"dc2\n", stamp=False), b"nonsense: 1")
    assert proposal.text == b"dc2\n"
    assert _lines(proposal) == ["now: every other application: dc2"]


def test_an_edit_that_wrote_its_own_meta_keeps_it() -> None:
    """A stamp is put on an edited text only where the editor left `meta` as it was."""
    untouched = _TEXT.replace(b"alone", b"lonely")
    by_hand = untouched.replace(b"kim", b"me")
    stamped = _proposed(Edit(make=lambda *_: untouched, stamp=None))
    assert b"by: lin" in stamped.text
    assert _proposed(Edit(make=lambda *_: by_hand, stamp=None)).text == by_hand


def test_json_on_one_line_is_spread_out_for_the_eye() -> None:
    """The difference of two JSON texts without line breaks shows the entry, not two endless lines."""
    lines = difference(b'{"default":"dc1","apps":{"a":"dc1"}}', b'{"default":"dc1","apps":{"a":"dc2"}}')
    assert [line.strip() for line in lines if line[0] in "+-"][2:] == ['-    "a": "dc1"', '+    "a": "dc2"']


def test_what_health_checks_found_counts() -> None:
    """A datacenter that the sidecars judged down takes no jobs, and a route that has no other is a reason to refuse."""
    text = b"default: {active: dc1, backups: [dc2]}\napps:\n  alone: {active: dc1, backups: []}\n"
    faults = {"dc2": unhealthy(Fault(FaultKind.OTHER, text="probes: refused"))}
    stamp = ChangeMeta(by="lin", at_ns=_NOW)
    proposal = propose(read_current(text), _switch("dc2", "alone"), stamp=stamp, rules=SafetyRules(), faults=faults)
    assert _lines(proposal) == ["now: alone: all jobs dc1 → nobody"]
    assert "health checks found dc2 down (probes: refused)" in proposal.notes
    assert _rules_broken(proposal) == ["out-of-service"]
