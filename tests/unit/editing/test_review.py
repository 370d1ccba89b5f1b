"""What an operator is shown, and what speaks against a change, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sidecar.editing import operations
from sidecar.editing.draft import Edit, MetaPolicy
from sidecar.editing.facts import Facts, LiveWorkers
from sidecar.editing.rules import SafetyRules
from sidecar.editing.safety_rules import enforce
from sidecar.errors import ChangeRefused
from sidecar.routing.outage import Fault, FaultKind, unhealthy
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import SECOND_NS, format_time
from tests.unit.editing.changes import NOW, TEXT, broken, drafted, effect, reviewed, switch

_MINUTE = 60 * SECOND_NS


def test_a_switch_tells_what_moves() -> None:
    """Only the jobs that were elsewhere move, and the rest of the applications is not mentioned."""
    assert effect(reviewed(switch("dc2", "billing"))) == ["now: billing: 90 % of jobs dc1 → dc2"]


def test_applications_that_move_alike_are_told_together() -> None:
    """What moves from and to the same places is one line, the unnamed rest last in it."""
    judged = reviewed(switch("dc2", everything=True))
    assert effect(judged) == [
        "now: billing: 90 % of jobs dc1 → dc2",
        "now: alone, every other application: all jobs dc1 → dc2",
    ]


def test_a_ramp_tells_where_it_ends() -> None:
    """A ramp moves nothing when it is written, and all by its end."""
    edit = Edit(
        make=lambda found, _: operations.start_ramp(
            found.valid()[0], "x", source="dc1", target="dc2", start=format_time(NOW), duration="2h", steps=8
        )
    )
    assert effect(reviewed(edit)) == ["the ramp to dc2 has taken 8 steps: x: all jobs dc1 → dc2"]


def test_a_drill_tells_both_ways() -> None:
    """A drill sends work away at its start and back at its end."""
    edit = Edit(
        make=lambda found, _: operations.start_drill(
            found.valid()[0],
            "dc1",
            start=format_time(NOW + _MINUTE),
            until=format_time(NOW + 2 * _MINUTE),
            apps=["billing"],
        ),
        moves_work=True,
    )
    judged = reviewed(edit)
    assert effect(judged) == [
        "the drill of dc1 starts: billing: 90 % of jobs dc1 → dc2",
        "the drill of dc1 ends: billing: 90 % of jobs dc2 → dc1 (then dc1 90 %, dc2 10 %)",
    ]


def test_known_workers_are_told_and_weighed() -> None:
    """With the live workers known, the target's are reported, and one without any is a reason to refuse."""
    assert "live workers: dc2 3" in reviewed(switch("dc2", "billing"), facts=Facts(counts={"dc1": 1, "dc2": 3})).notes
    judged = reviewed(switch("dc2", "billing"), facts=Facts(counts={"dc1": 1}))
    assert [str(o.message) for o in judged.violations] == [
        "dc2 has no live worker, expected at least 1: start more there"
    ]
    short = reviewed(switch("dc2", "billing"), facts=Facts(counts={"dc2": 1}), rules=SafetyRules(require_workers=2))
    assert broken(short) == ["workers"]
    unknown = reviewed(switch("dc2", "billing"), rules=SafetyRules(require_workers=2))
    assert broken(unknown) == ["workers"]
    assert broken(reviewed(switch("dc2", "billing"))) == []


def _seen(**workers: Mapping[str, int]) -> Facts:
    """Return the facts where a sidecar saw these workers of applications five seconds ago."""
    return Facts(live_workers={app: LiveWorkers(counts, NOW - 5 * SECOND_NS) for app, counts in workers.items()})


def test_seen_workers_are_told_and_weighed_by_application() -> None:
    """What a sidecar was told of an application's workers counts for that one, and is reported with its age."""
    seen = _seen(billing={"dc1": 2, "dc2": 3}, alone={"dc1": 4})
    well = reviewed(switch("dc2", "billing"), facts=seen)
    assert broken(well) == []
    assert effect(well) == ["now: billing: 90 % of jobs dc1 → dc2"]
    assert "live workers: dc2 3, seen by a sidecar up to 5s ago" in well.notes
    both = reviewed(switch("dc2", "billing", "alone"), facts=seen)
    (violation,) = both.violations
    assert violation.message == (
        "dc2 has no live worker of alone, expected at least 1 (a sidecar saw this 5s ago): start more there, or count "
        "them with --candidates"
    )
    assert "live workers: dc2 0 to 3 (by application), seen by a sidecar up to 5s ago" in both.notes
    short = reviewed(switch("dc2", "billing"), facts=seen, rules=SafetyRules(require_workers=4))
    assert "dc2 has 3 live workers of billing, expected at least 4" in short.violations[0].message


def test_one_request_is_no_evidence_of_workers() -> None:
    """Only what several runs have shown lets a change pass; the fewest of them count, the newest are told."""
    at_ns = NOW - 5 * SECOND_NS

    def facts(fewest: int, runs: int) -> Facts:
        return Facts(live_workers={"billing": LiveWorkers({"dc2": 3}, at_ns, {"dc2": fewest}, runs)})

    made_up = reviewed(switch("dc2", "billing"), facts=facts(0, 2))
    assert broken(made_up) == ["workers"]
    assert "live workers: dc2 3, seen by a sidecar up to 5s ago" in made_up.notes
    demanding = SafetyRules(require_workers=2)
    assert broken(reviewed(switch("dc2", "billing"), facts=facts(3, 3), rules=demanding)) == []
    assert broken(reviewed(switch("dc2", "billing"), facts=facts(3, 2))) == []
    alone = reviewed(switch("dc2", "billing"), facts=facts(3, 2), rules=demanding)
    (violation,) = alone.violations
    assert violation.message == (
        "live workers in dc2 shown by fewer than 3 runs, which is no evidence: wait for more, or count them with "
        "--candidates"
    )


@pytest.mark.parametrize("turned", [False, True])
def test_what_two_sidecars_were_shown(turned: bool) -> None:
    """Evidence counts more than a newer request; of several requests that are none, the fewest workers."""

    def combined(one: LiveWorkers, other: LiveWorkers) -> LiveWorkers:
        return other.combined(one) if turned else one.combined(other)

    evident = LiveWorkers({"dc2": 1}, NOW - 9, {"dc2": 1}, 3)
    later = LiveWorkers({"dc2": 2}, NOW - 5, {"dc2": 2}, 3)
    made_up = LiveWorkers({"dc2": 9}, NOW, {"dc2": 9}, 1)
    assert combined(evident, made_up) is evident
    assert combined(evident, later) is later
    lone = LiveWorkers({"dc1": 4}, NOW - 9, {"dc1": 4}, 1)
    assert combined(lone, made_up) == LiveWorkers({"dc2": 9}, NOW, {"dc2": 0}, 1)
    old_release = LiveWorkers({"dc1": 4}, NOW - 9)
    assert combined(old_release, replace(made_up, runs=3)) == replace(made_up, runs=3)


def test_what_is_said_goes_before_what_was_seen() -> None:
    """With counts nobody is asked; for an application nobody has seen, and for those without a name, none are known."""
    seen = _seen(billing={"dc1": 2})
    assert broken(reviewed(switch("dc2", "billing"), facts=replace(seen, counts={"dc2": 1}))) == []
    unknown = reviewed(switch("dc2", "alone"), facts=seen)
    assert broken(unknown) == []
    assert "live workers in dc2 unknown: count them with --candidates" in unknown.notes
    demanded = reviewed(switch("dc2", everything=True), facts=_seen(), rules=SafetyRules(require_workers=1))
    assert [o.message for o in demanded.violations] == ["live workers in dc2 unknown: count them with --candidates"]
    partly = reviewed(switch("dc2", everything=True), facts=_seen(billing={"dc2": 1}))
    assert "live workers of some applications in dc2 unknown: count them with --candidates" in partly.notes


def test_a_route_needs_as_many_workers_as_it_says() -> None:
    """`min_workers` of a route counts for the rule about workers too."""
    text = b"default: {active: dc1, backups: [dc2], min_workers: 3}"
    assert broken(reviewed(switch("dc2", "a"), text, facts=Facts(counts={"dc1": 5, "dc2": 2}))) == ["workers"]


def test_a_route_must_keep_a_datacenter_in_service() -> None:
    """A mark that leaves a route nowhere to go is refused, and one that was so before is not blamed on the change."""
    edit = Edit(make=lambda found, _: operations.mark(*found.valid(), "dc1", available=False), moves_work=True)
    judged = reviewed(edit)
    assert broken(judged) == ["out-of-service"]
    assert judged.violations[0].message.startswith("alone would have no datacenter in service: dc1 is out (marked)")
    unrelated = reviewed(switch("dc2", "billing"), drafted(edit).new.text, rules=SafetyRules(hold_off=0))
    assert broken(unrelated) == []


def test_a_drill_that_would_leave_nobody_is_refused_for_its_time() -> None:
    """Also a drill that is still to come is judged by what it will do."""
    edit = Edit(
        make=lambda found, _: operations.start_drill(
            found.valid()[0], "dc1", start="2026-11-23T10:00:00Z", until="2026-11-23T11:00:00Z"
        )
    )
    violation = reviewed(edit).violations[0]
    assert violation.rule == "out-of-service"
    assert "from 2026-11-23T10:00:00Z" in violation.message


def test_a_change_that_changes_nothing_is_refused() -> None:
    """Source and target are equal also where the text would change, as by writing down what is inherited."""
    assert broken(reviewed(switch("dc1", "other"))) == ["same"]
    assert broken(reviewed(switch("dc1", "alone"))) == ["same"]


@pytest.mark.parametrize(("minutes", "rules"), [(0, ["hold-off"]), (0.9, ["hold-off"]), (1, []), (-1, [])])
def test_two_changes_keep_a_distance(minutes: float, rules: list[str]) -> None:
    """Within the hold-off after `meta.at` the next one is refused; a clock that is ahead locks nobody out."""
    at = format_time(NOW - int(minutes * _MINUTE))
    text = TEXT.replace(b"2026-11-22T09:00:00Z", at.encode())
    assert broken(reviewed(switch("dc2", "billing"), text)) == rules
    if rules:
        assert "the last change by kim" in reviewed(switch("dc2", "billing"), text).violations[0].message


def test_undoing_the_last_change_is_not_held_off() -> None:
    """What sends all jobs where they were before the last change is not held off, whatever else the texts say."""
    text = TEXT.replace(b"2026-11-22T09:00:00Z", format_time(NOW).encode())
    before = parse_text(b"# other words\n" + drafted(switch("dc2", "billing"), text).new.text).document
    facts = Facts(replaced=before)
    assert broken(reviewed(switch("dc2", "billing"), text, facts=facts)) == []
    assert broken(reviewed(switch("dc3", "billing"), text, facts=facts)) == ["hold-off"]
    assert "dc-sidecar rollback" in reviewed(switch("dc3", "billing"), text).violations[0].message
    way_back = replace(switch("dc3", "billing"), way_back=True)
    assert broken(reviewed(way_back, text)) == []


def test_a_reason_can_be_demanded() -> None:
    """Where the configuration demands a reason, a change without one is refused."""
    assert broken(reviewed(switch("dc2", "billing"), rules=SafetyRules(require_reason=True))) == ["reason"]
    assert broken(reviewed(switch("dc2", "billing"), rules=SafetyRules(require_reason=True), reason="why")) == []


def test_force_names_the_rules_it_overrides() -> None:
    """Forcing one rule does not force another, and the refusal says how to go on."""
    judged = reviewed(switch("dc1", "alone"), rules=SafetyRules(require_reason=True))
    with pytest.raises(ChangeRefused, match=r"(?s)same: .*reason: .*--force same --force reason"):
        enforce(judged.violations, ())
    with pytest.raises(ChangeRefused, match=r"--force reason$"):
        enforce(judged.violations, ("same",))
    enforce(judged.violations, ("same", "reason"))


def test_what_is_under_way_is_shown() -> None:
    """A running ramp or drill where the change is made is reported, and whether the change ends it."""
    text = b"""\
default: {ramp: {from: dc1, to: dc2, start: "2026-11-22T09:00:00Z", duration: 2h, steps: 8}}
drills: [{datacenter: dc3, until: "2026-11-22T11:00:00Z", reason: Q4}, {datacenter: dc3, until: "2026-11-22T09:00:00Z"}]
"""
    notes = reviewed(switch("dc4", "a"), text).notes
    assert "a drill has dc3 out until 2026-11-22T11:00:00Z (Q4)" in notes
    assert "a is on a ramp from dc1 to dc2, 4 of 8 steps taken; this ends it" in notes
    assert len([note for note in notes if "drill" in note]) == 1


def test_a_new_name_is_pointed_out() -> None:
    """An application that is new, or a datacenter in a document that has no list of them, may be a slip."""
    assert "biling is new in this document" in reviewed(switch("dc2", "biling")).notes
    notes = reviewed(switch("dc22", "billing")).notes
    assert "dc22 is a new datacenter in this document, which has dc1, dc2, dc3" in notes
    assert not [note for note in reviewed(switch("dc2", "billing")).notes if "new" in note]
    assert "jobs of billing with routes of their own: 1001" in reviewed(switch("dc2", "billing")).notes


def test_a_whole_text_replaces_also_a_broken_one() -> None:
    """Where what was there cannot be read, the effect reports where everything goes now."""
    edit = Edit(make=lambda *_: parse_text(b"dc2\n"), meta=MetaPolicy.NEVER)
    judged = reviewed(edit, b"nonsense: 1")
    assert effect(judged) == ["now: every other application: dc2"]


def test_what_health_checks_found_counts() -> None:
    """A datacenter that the sidecars judged down takes no jobs, and a route that has no other is a reason to refuse."""
    text = b"default: {active: dc1, backups: [dc2]}\napps:\n  alone: {active: dc1, backups: []}\n"
    facts = Facts(outages={"dc2": unhealthy(Fault(FaultKind.OTHER, text="probes: refused"))})
    judged = reviewed(switch("dc2", "alone"), text, facts=facts)
    assert effect(judged) == ["now: alone: all jobs dc1 → nobody"]
    assert "health checks found dc2 down (probes: refused)" in judged.notes
    assert broken(judged) == ["out-of-service"]
