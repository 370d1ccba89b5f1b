"""Judges a drafted change by the facts: the safety rules that it breaks, and notes for the operator. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sidecar.editing.draft import Draft
from sidecar.editing.facts import Facts
from sidecar.editing.impact import Impact, under_way
from sidecar.editing.rules import SafetyRules
from sidecar.editing.safety_rules import Violation, equivalent, targets, violations
from sidecar.editing.wording import subject_text, under_way_texts
from sidecar.routing.lint import warnings
from sidecar.routing.wording import named, outage_text
from sidecar.trust.envelope import is_signed

# How many jobs or lint warnings are named, and twice as many notes are shown in all.
_NAMED = 3
_SIGNED = (
    "the document is signed, and sidecars that require that would refuse the new one: pass --sign KEY with your SSH "
    "key, and --propose too where another operator must sign as well"
)
# How many clients of a gray version are named.
_CLIENTS = 10


@dataclass(frozen=True, slots=True)
class Review:
    """The verdict on a draft; `impact` is its effect in the light of the facts."""

    impact: Impact
    violations: tuple[Violation, ...]
    notes: tuple[str, ...]


def review(draft: Draft, facts: Facts, rules: SafetyRules) -> Review:
    """Return the review of a draft."""
    impact = draft.impact.given(facts)
    if draft.edit.way_back or _undoes(draft, facts):
        rules = replace(rules, hold_off=0.0)
    found = violations(impact, rules, reason=draft.meta.reason, moves_work=draft.edit.moves_work)
    if draft.changes_text and draft.current.signed and not (facts.signing or is_signed(draft.new.text)):
        found = (*found, Violation("signed", _SIGNED))
    notes = (*_about_gray(facts), *_limited(_notes(draft, impact)), *_new_warnings(draft))
    return Review(impact, found, notes)


def _undoes(draft: Draft, facts: Facts) -> bool:
    """Return whether a draft sends all jobs where the last change took them from."""
    new = draft.new.document
    return facts.replaced is not None and new is not None and equivalent(facts.replaced, new)


def _about_gray(facts: Facts) -> list[str]:
    """Return a note on a gray version: its clients do not get the new document."""
    if facts.gray is None:
        return []
    who = named(facts.gray.clients, _CLIENTS) or "clients that cannot be read"
    effect = "this changes the ordinary version, which they do not get until the gray is ended in the config center"
    return [f"a gray version ({facts.gray.rule}) is in force for {who}: {effect}"]


def _notes(draft: Draft, impact: Impact) -> list[str]:
    return [
        *(f"health checks found {name} down ({outage_text(fault)})" for name, fault in impact.faults.items()),
        *under_way_texts(under_way(impact)),
        *_out_of_service(impact),
        *_about_apps(draft),
        *_new_datacenters(draft),
        *_about_workers(impact),
    ]


def _limited(notes: list[str]) -> list[str]:
    most = 2 * _NAMED
    return notes if len(notes) <= most else [*notes[:most], f"and {len(notes) - most:,} more notes"]


def _out_of_service(impact: Impact) -> list[str]:
    """Return a note for each new target that is out of service."""
    notes = []
    state = impact.new(impact.now_ns)
    for subject in impact.changed:
        resolved = state.resolve((subject.app,), subject.app, subject.job)
        before = impact.before.route(subject.app, subject.job) if impact.before else None
        if before is not None and before.selector == resolved.route.selector:
            continue
        out = [(name, resolved.out[name]) for name, weight in resolved.weights if weight > 0 and name in resolved.out]
        notes += [f"{name} is out of service for {subject_text(subject)} ({outage_text(one)})" for name, one in out]
    return notes


def _about_apps(draft: Draft) -> list[str]:
    """Return notes on the applications that the operator named: a new one, jobs that stay."""
    known = draft.current.document.apps if draft.current.document else {}
    apps = (*draft.edit.apps, *draft.edit.scope)
    notes = [f"{app} is new in this document" for app in apps if app not in known]
    for app in draft.edit.apps:
        own = list(known[app].jobs) if app in known else []
        if own:
            more = f" and {len(own) - _NAMED:,} more" if len(own) > _NAMED else ""
            notes.append(f"jobs of {app} with routes of their own: {', '.join(own[:_NAMED])}{more}")
    return notes


def _new_datacenters(draft: Draft) -> list[str]:
    """Return a note for each datacenter that a document without a list of datacenters names for the first time."""
    before, after = draft.current.document, draft.new.document
    if before is None or after is None or before.datacenters is not None:
        return []
    known = before.datacenter_names()
    has = f"this document, which has {named(known)}" if known else "this document"
    return [f"{name} is a new datacenter in {has}" for name in after.datacenter_names() if name not in known]


def _about_workers(impact: Impact) -> list[str]:
    """Return notes on how many live workers the targets have, and where that is not known."""
    wanted = targets(impact)
    if not wanted:
        return []
    counts = impact.counts
    if counts is not None:
        return [f"live workers: {', '.join(f'{name} {counts.get(name, 0):,}' for name in wanted)}"]
    seen = {
        name: [impact.seen[app].counts.get(name, 0) for app in needs if app in impact.seen]
        for name, needs in wanted.items()
    }
    notes = []
    if any(seen.values()):
        used = (impact.seen[app] for needs in wanted.values() for app in needs if app in impact.seen)
        age = min(used, key=lambda workers: workers.at_ns).age(impact.now_ns)
        amounts = ", ".join(f"{name} {_span(found)}" for name, found in seen.items() if found)
        notes.append(f"live workers: {amounts}, seen by a sidecar up to {age} ago")
    unknown = [name for name, needs in wanted.items() if len(seen[name]) < len(needs)]
    if unknown:
        some = " of some applications" if notes else ""
        notes.append(f"live workers{some} in {' and '.join(unknown)} unknown: count them with --candidates")
    return notes


def _span(counts: Collection[int]) -> str:
    """Return the range from the application with the fewest workers to the one with the most."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,} (by application)"


def _new_warnings(draft: Draft) -> list[str]:
    """Return the lint warnings of the new text that the current one did not have."""
    now_ns = draft.meta.at_ns
    before = warnings(draft.current.parsed, now_ns) if draft.current.parsed else ()
    known = {(one.path, one.message) for one in before}
    found = [one for one in warnings(draft.new, now_ns) if (one.path, one.message) not in known]
    return [f"{one.path}: {one.message}" for one in found][:_NAMED]
