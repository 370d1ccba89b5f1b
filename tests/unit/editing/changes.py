"""Changes of one document at one time, drafted and reviewed."""

from __future__ import annotations

from sidecar.editing import operations
from sidecar.editing.draft import CurrentDocument, Draft, Edit, plan
from sidecar.editing.facts import Facts
from sidecar.editing.meta import ChangeMeta
from sidecar.editing.review import Review, review
from sidecar.editing.rules import SafetyRules
from sidecar.editing.wording import cause_text, movement_text
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import parse_time
from sidecar.yaml_reader import Tree

NOW = parse_time("2026-11-22T10:00:00Z") or 0

TEXT = b"""\
meta: {by: kim, at: "2026-11-22T09:00:00Z", reason: earlier, ticket: OPS-1, team: core}
default: {active: dc1, backups: [dc2]}
apps:
  billing: {split: {dc1: 90, dc2: 10}, jobs: {"1001": dc3}}
  alone: {active: dc1, backups: []}
"""


def current(text: bytes) -> CurrentDocument:
    """Return a text as what the key holds."""
    return CurrentDocument(parse_text(text), "1")


def drafted(edit: Edit, text: bytes = TEXT, *, reason: str = "", full: bool = False, new_apps: bool = True) -> Draft:
    """Return the draft of an edit, which may name applications for the first time."""
    meta = ChangeMeta(by="lin", at_ns=NOW, reason=reason)
    return plan(current(text), edit, meta, full_document=full, new_apps=new_apps)


def reviewed(
    edit: Edit,
    text: bytes = TEXT,
    *,
    rules: SafetyRules | None = None,
    facts: Facts | None = None,
    reason: str = "",
) -> Review:
    """Return the review of an edit's draft."""
    return review(drafted(edit, text, reason=reason), facts or Facts(), rules or SafetyRules())


def switch(to: str, *apps: str, everything: bool = False) -> Edit:
    """Return a switch of applications, or of everything."""

    def make(found: CurrentDocument, _: int) -> Tree:
        return operations.switch(found.valid()[0], to, apps, everything=everything)

    return Edit(make=make, moves_work=True, apps=apps)


def effect(judged: Review) -> list[str]:
    """Return a line for each movement, with its time."""
    return [
        f"{cause_text(step.cause) or 'now'}: {movement_text(movement)}"
        for step in judged.impact.moments
        for movement in step.movements
    ]


def broken(judged: Review) -> list[str]:
    """Return the rules that a change breaks."""
    return [violation.rule for violation in judged.violations]
