"""The safety rules that a change may break, each with its name and the remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from textwrap import fill

from sidecar.editing.impact import Impact, StepKind, Subject
from sidecar.editing.meta import last_change
from sidecar.editing.placement import placement
from sidecar.editing.rules import SafetyRules
from sidecar.editing.wording import subject_text
from sidecar.errors import ChangeRefused
from sidecar.routing.model import DEFAULT_OBSERVATIONS, RoutingDocument
from sidecar.routing.scalars import SECOND_NS, format_duration
from sidecar.routing.state import State
from sidecar.routing.wording import outage_text
from sidecar.routing.zone import show_time

_wrapped = partial(fill, width=79, initial_indent="  ", subsequent_indent="    ")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a change breaks; the message has the finding and the remedy."""

    rule: str
    message: str


def violations(comparison: Impact, rules: SafetyRules, *, reason: str, moves_work: bool) -> tuple[Violation, ...]:
    """Return the rules that a change breaks; `moves_work` is True for a change that sends work somewhere."""
    found = [*_services(comparison), *_workers(comparison, rules)]
    if moves_work:
        found += [*_same(comparison), *_hold_off(comparison, rules)]
    if rules.require_reason and not reason:
        found.append(Violation("reason", "a reason is required: give one with --reason"))
    return tuple(found)


def enforce(found: Collection[Violation], forced: Collection[str]) -> None:
    """Raise ChangeRefused with all violations whose rules are not forced."""
    broken = [violation for violation in found if violation.rule not in forced]
    if broken:
        force = " ".join(f"--force {rule}" for rule in dict.fromkeys(violation.rule for violation in broken))
        lines = [*(f"{one.rule}: {one.message}" for one in broken), f"to override: {force}"]
        raise ChangeRefused("\n".join(("refused:", *map(_wrapped, lines))))


def drained(document: RoutingDocument) -> frozenset[str]:
    """Return the matches of a document's drained workers."""
    return frozenset(rule.match for rule in document.workers if not rule.available)


def equivalent(one: RoutingDocument, other: RoutingDocument) -> bool:
    """Return whether two documents send every job to the same place, at any time."""
    if (one.default, one.drills) != (other.default, other.drills) or drained(one) != drained(other):
        return False
    if one.datacenters != other.datacenters and _services_of(one) != _services_of(other):
        return False
    subjects = Impact(one, other, 0).subjects
    return all(one.route(subject.app, subject.job) == other.route(subject.app, subject.job) for subject in subjects)


def _services_of(document: RoutingDocument) -> object:
    entries = (document.datacenters or {}).values()
    return {entry.name for entry in entries if not entry.available}, {n: e.name for e in entries for n in e.cidrs}


def _same(comparison: Impact) -> Iterator[Violation]:
    if comparison.before is not None and equivalent(comparison.before, comparison.after):
        yield Violation("same", "no change: already in effect")


def _services(comparison: Impact) -> Iterator[Violation]:
    for moment in comparison.moments:
        new, old = comparison.new(moment.at_ns), comparison.old(moment.at_ns)
        dead = [s for s in comparison.changed if _dead(new, s) and not (old and _dead(old, s))]
        if dead:
            resolved = new.resolve((dead[0].app,), dead[0].app, dead[0].job)
            out = ", ".join(f"{name} is out ({outage_text(outage)})" for name, outage in resolved.out.items())
            more = f" and {len(dead) - 1:,} more" if len(dead) > 1 else ""
            when = "" if moment.cause.kind is StepKind.NOW else f" from {show_time(moment.at_ns)}"
            yield Violation(
                "out-of-service",
                f"{subject_text(dead[0])}{more} would have no datacenter in service{when}: {out}; "
                "name one that is in service, or add it to the backups",
            )
            return


def _dead(state: State, subject: Subject) -> bool:
    routed = state.document.route(subject.app, subject.job).selector is not None
    return routed and placement(state, subject.app, subject.job).other is not None


def _workers(comparison: Impact, rules: SafetyRules) -> Iterator[Violation]:
    for datacenter, needs in targets(comparison, rules.require_workers or 1).items():
        if comparison.counts is not None:
            count, needed = comparison.counts.get(datacenter, 0), max(needs.values())
            if count < needed:
                yield Violation(
                    "workers", f"{datacenter} has {_live(count)}, expected at least {needed}: start more there"
                )
            continue
        if rules.require_workers is not None and any(app not in comparison.seen for app in needs):
            yield Violation("workers", f"live workers in {datacenter} unknown: count them with --candidates")
        elif rules.require_workers is not None and any(not comparison.seen[app].evident for app in needs):
            yield Violation(
                "workers",
                f"live workers in {datacenter} shown by fewer than {DEFAULT_OBSERVATIONS} runs, which is no evidence: "
                "wait for more, or count them with --candidates",
            )
        yield from _seen_too_few(comparison, datacenter, needs)


def _seen_too_few(comparison: Impact, datacenter: str, needs: Mapping[str, int]) -> Iterator[Violation]:
    counts = {app: comparison.seen[app].sure(datacenter) for app in needs if app in comparison.seen}
    few = [app for app, count in counts.items() if count < needs[app]]
    if few:
        app = min(few, key=lambda app: counts[app] - needs[app])
        more = f", and too few of {len(few) - 1:,} more" if len(few) > 1 else ""
        age = comparison.seen[app].age(comparison.now_ns)
        yield Violation(
            "workers",
            f"{datacenter} has {_live(counts[app])} of {app}, expected at least {needs[app]}{more} (a sidecar saw this "
            f"{age} ago): start more there, or count them with --candidates",
        )


def targets(comparison: Impact, at_least: int = 1) -> dict[str, dict[str, int]]:
    """Return the datacenters that are to get jobs, and how many workers the route of each application needs there."""
    found: dict[str, dict[str, int]] = {}
    for moment in comparison.blind.moments:
        # Where jobs return to when a drill ends is not where the operator sends them.
        if moment.cause.kind is StepKind.DRILL_ENDS:
            continue
        for movement in moment.movements:
            for subject in movement.subjects:
                needed = max(at_least, comparison.after.route(subject.app, subject.job).min_workers)
                for move in movement.moves:
                    if isinstance(move.target, str):
                        needs = found.setdefault(move.target, {})
                        needs[subject.app] = max(needed, needs.get(subject.app, 0))
    return found


def _live(count: int) -> str:
    return f"{count} live worker{'' if count == 1 else 's'}" if count else "no live worker"


def held_off(comparison: Impact, rules: SafetyRules) -> bool:
    """Return whether the last change is too recent for another that moves work."""
    last = last_change(comparison.before) if comparison.before else None
    # A time in the future means that some clock is wrong, which must not lock all operators out.
    return last is not None and 0 <= comparison.now_ns - last < rules.hold_off * SECOND_NS


def _hold_off(comparison: Impact, rules: SafetyRules) -> Iterator[Violation]:
    if held_off(comparison, rules):
        assert comparison.before is not None
        last = last_change(comparison.before)
        assert last is not None
        elapsed = comparison.now_ns - last
        remaining = format_duration(int(rules.hold_off * SECOND_NS) - elapsed // SECOND_NS * SECOND_NS)
        who = comparison.before.meta.get("by")
        by = f" by {who}" if isinstance(who, str) else ""
        yield Violation(
            "hold-off",
            f"the last change{by} was at {show_time(last)}: wait {remaining}; to undo it, `dc-sidecar rollback` need "
            "not wait",
        )
