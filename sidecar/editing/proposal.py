"""A change as it is proposed to an operator: the new text, the difference, the effect, and what speaks against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches, unified_diff

from sidecar.editing.impact import Impact, under_way
from sidecar.editing.live_workers import LiveWorkersLookup
from sidecar.editing.meta import ChangeMeta, with_meta
from sidecar.editing.placement import Counts
from sidecar.editing.rewrite import rewrite, tree_of
from sidecar.editing.safety_rules import SafetyRules, Violation, targets, violations
from sidecar.editing.wording import subject_text, under_way_texts
from sidecar.errors import ChangeRefused, DocumentRejected
from sidecar.routing.document import MAX_BYTES, parse_document, revision_of
from sidecar.routing.lint import warnings
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.wording import outage_text
from sidecar.yaml_reader import Tree

_NAMED = 3


@dataclass(frozen=True, slots=True)
class CurrentDocument:
    """What the key holds: None where there is nothing; `document` is None where the text is no valid document."""

    text: bytes | None
    document: RoutingDocument | None = None
    refusal: DocumentRejected | None = None

    @property
    def revision(self) -> str:
        """The revision of the text, "" where there is none."""
        return "" if self.text is None else revision_of(self.text)

    def valid(self) -> tuple[Tree, RoutingDocument]:
        """Return the tree and the document. Raises Refused where there is none that a verb could change."""
        if self.text is None:
            raise ChangeRefused("there is no routing document yet: write a first one with `dc-sidecar init`")
        if self.document is None:
            assert self.refusal is not None
            raise ChangeRefused(
                f"the document is not valid, so there is no telling what a change of it does; mend it first, with "
                f"`dc-sidecar edit` or `dc-sidecar put`: {self.refusal.summary}"
            )
        return tree_of(self.text), self.document


def read_current(text: bytes | None, *, max_bytes: int = MAX_BYTES) -> CurrentDocument:
    """Return what a text is, valid or not."""
    if text is None:
        return CurrentDocument(None)
    try:
        return CurrentDocument(text, parse_document(text, max_bytes=max_bytes))
    except DocumentRejected as refusal:
        return CurrentDocument(text, refusal=refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What an operator wants: `make` returns the new tree, or a whole text, for what is there at a time.

    `moves_work` marks the edits that send jobs somewhere: the rules about needless and hasty changes are for them.
    `stamp` tells whether who, when and why are written to `meta`; None: if the edit itself left that alone.
    """

    make: Callable[[CurrentDocument, int], Tree | bytes]
    moves_work: bool = False
    stamp: bool | None = True
    apps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that could be made: from `opened` to `text`; `notes` are for the operator to weigh."""

    opened: CurrentDocument
    text: bytes
    comparison: Impact
    violations: tuple[Violation, ...]
    notes: tuple[str, ...]

    @property
    def revision(self) -> str:
        """The revision of the new text."""
        return revision_of(self.text)

    @property
    def difference(self) -> list[str]:
        """The lines of the difference between the texts."""
        return difference(self.opened.text, self.text)


def propose(
    opened: CurrentDocument,
    edit: Edit,
    *,
    stamp: ChangeMeta,
    rules: SafetyRules,
    full_document: bool = False,
    counts: Counts | None = None,
    faults: Outages | None = None,
    ask: LiveWorkersLookup | None = None,
    max_bytes: int = MAX_BYTES,
) -> Proposal:
    """Return what an edit makes of what is there. Raises Refused where it cannot be made, or makes no document.

    Without `counts`, `ask` is asked who is alive of the applications that would get jobs elsewhere.
    """
    made = edit.make(opened, stamp.at_ns)
    text = made if isinstance(made, bytes) else opened.text or b""
    try:
        if isinstance(made, bytes):
            parse_document(text, max_bytes=max_bytes)
            made = tree_of(text)
        meta = made.get("meta") if isinstance(made, dict) else None
        if edit.stamp or (edit.stamp is None and opened.document and meta == (opened.document.meta or None)):
            made = with_meta(made, stamp, full_document=full_document)
        text = rewrite(text, made)
        after = parse_document(text, max_bytes=max_bytes)
    except DocumentRejected as refusal:
        raise ChangeRefused(
            f"refused, nothing is written, as the result would be no valid document: {refusal}"
        ) from refusal
    comparison = Impact(opened.document, after, stamp.at_ns, counts, faults)
    if counts is None and ask is not None:
        apps = {app: None for needs in targets(comparison).values() for app in needs if app}
        comparison = comparison.seeing(ask(apps, opened.revision)) if apps else comparison
    against = violations(comparison, rules, reason=stamp.reason, moves_work=edit.moves_work)
    notes = [*_notes(comparison, edit), *_oddities(opened, text, comparison)]
    return Proposal(opened, text, comparison, against, tuple(notes))


def difference(old: bytes | None, new: bytes) -> list[str]:
    """Return the lines of the difference between two texts, without line breaks; JSON on one line is spread out."""
    before, after = _lines(old), _lines(new)
    was = f"revision {revision_of(old)}" if old is not None else "nothing"
    return [*unified_diff(before, after, was, f"revision {revision_of(new)}", lineterm="")]


def _lines(text: bytes | None) -> list[str]:
    if not text:
        return []
    decoded = text.decode(errors="replace").removeprefix("\ufeff")
    if decoded.lstrip()[:1] == "{" and "\n" not in decoded.strip():
        with suppress(ValueError):
            decoded = json.dumps(json.loads(decoded), indent=2, ensure_ascii=False)
    return decoded.splitlines()


def _notes(comparison: Impact, edit: Edit) -> list[str]:
    notes = [f"health checks found {name} down ({outage_text(fault)})" for name, fault in comparison.faults.items()]
    notes += under_way_texts(under_way(comparison))
    state = comparison.new(comparison.now_ns)
    for subject in comparison.changed:
        resolved = state.resolve((subject.app,), subject.app, subject.job)
        before = comparison.before.route(subject.app, subject.job) if comparison.before else None
        if before is not None and before.selector == resolved.route.selector:
            continue
        out = [(name, resolved.out[name]) for name, weight in resolved.weights if weight > 0 and name in resolved.out]
        notes += [f"{name} is out of service for {subject_text(subject)} ({outage_text(one)})" for name, one in out]
    known = comparison.before.apps if comparison.before else {}
    for app in edit.apps:
        close = get_close_matches(app, known, n=1)
        if app not in known and close:
            notes.append(f"{app} is new in this document, which has {close[0]}")
        own = list(known[app].jobs) if app in known else []
        if own:
            more = f" and {len(own) - _NAMED:,} more" if len(own) > _NAMED else ""
            notes.append(f"jobs of {app} with routes of their own: {', '.join(own[:_NAMED])}{more}")
    notes += _about_workers(comparison)
    return notes if len(notes) <= 2 * _NAMED else [*notes[: 2 * _NAMED], f"and {len(notes) - 2 * _NAMED:,} more notes"]


def _oddities(opened: CurrentDocument, text: bytes, comparison: Impact) -> list[str]:
    """Say what is legal but odd about the new text and was not about the old one."""
    was = set()
    if opened.text is not None and comparison.before is not None:
        was = {(one.path, one.message) for one in warnings(opened.text, comparison.before, comparison.now_ns)}
    found = warnings(text, comparison.after, comparison.now_ns)
    return [f"{one.path}: {one.message}" for one in found if (one.path, one.message) not in was][:_NAMED]


def _about_workers(comparison: Impact) -> list[str]:
    wanted = targets(comparison)
    if not wanted:
        return []
    counts = comparison.counts
    if counts is not None:
        return [f"live workers: {', '.join(f'{name} {counts.get(name, 0):,}' for name in wanted)}"]
    seen = {
        name: [comparison.seen[app].counts.get(name, 0) for app in needs if app in comparison.seen]
        for name, needs in wanted.items()
    }
    told = []
    if any(seen.values()):
        used = (comparison.seen[app] for needs in wanted.values() for app in needs if app in comparison.seen)
        age = min(used, key=lambda sighting: sighting.at_ns).age(comparison.now_ns)
        amounts = ", ".join(f"{name} {_span(found)}" for name, found in seen.items() if found)
        told.append(f"live workers: {amounts}, as a sidecar was told up to {age} ago")
    unknown = [name for name, needs in wanted.items() if len(seen[name]) < len(needs)]
    if unknown:
        whose = " for all of them" if told else ""
        told.append(f"it is not known{whose} how many workers there are in {' and '.join(unknown)}; --candidates tells")
    return told


def _span(counts: Collection[int]) -> str:
    """Return from how many workers to how many applications have."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,} (by application)"
