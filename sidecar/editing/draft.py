"""Drafts a change: the new text that an edit makes, and its effect on the jobs. Pure; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches, unified_diff
from enum import Enum, auto

from sidecar.editing.facts import Facts
from sidecar.editing.impact import Impact
from sidecar.editing.meta import ChangeMeta, with_meta
from sidecar.editing.rewrite import rewrite
from sidecar.editing.safety_rules import targets
from sidecar.errors import ChangeRefused
from sidecar.routing.document import MAX_BYTES, revision_of
from sidecar.routing.model import RoutingDocument
from sidecar.routing.outage import Outages
from sidecar.routing.parsed_text import ParsedText
from sidecar.trust.envelope import unsigned
from sidecar.yaml_reader import Tree

# How many names of applications are offered for one that is not known.
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class CurrentDocument:
    """The content of the key, and the config center's version of it; both None where the key does not exist.

    `parsed` is the text without its signatures; where it has some, `signed` is the text with them. `key` names
    it in messages, `missing` is why it holds nothing.
    """

    parsed: ParsedText | None = None
    version: str | None = None
    key: str = "the key"
    missing: str = ""
    signed: bytes | None = None

    @property
    def text(self) -> bytes | None:
        """The text, None where there is none."""
        return self.signed if self.signed is not None else self.body

    @property
    def body(self) -> bytes | None:
        """The text without its signatures, None where there is none."""
        return self.parsed.text if self.parsed else None

    @property
    def document(self) -> RoutingDocument | None:
        """The document, None where there is none or the text is not valid."""
        return self.parsed.document if self.parsed else None

    @property
    def revision(self) -> str:
        """The revision of the text, "" where there is none."""
        return revision_of(self.text) if self.text is not None else ""

    def valid(self) -> tuple[Tree, RoutingDocument]:
        """Return values and document. Raises ChangeRefused where there is no valid document to change a part of."""
        if self.parsed is None:
            reason = f" ({self.missing})" if self.missing else ""
            raise ChangeRefused(f"found no routing document at {self.key}{reason}: check the name of the key")
        if self.parsed.document is None:
            assert self.parsed.refusal is not None
            raise ChangeRefused(
                "the current document is not valid, so the effect of a change is unknown; fix it with "
                "`dc-sidecar edit` or `dc-sidecar put`, or go back to the last good one with `dc-sidecar rollback`: "
                f"{self.parsed.refusal.summary}"
            )
        return self.parsed.tree, self.parsed.document


class MetaPolicy(Enum):
    """Whether a change writes `meta` (who, when, why)."""

    ALWAYS = auto()
    NEVER = auto()
    UNLESS_EDITED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change that an operator asks for.

    `make` takes the current document and the time (Unix ns), and returns the new values, or a whole new text. It raises
    ChangeRefused where the change cannot be made. `moves_work` marks changes that send jobs somewhere: the rules `same`
    and `hold-off` apply to them only, and to a `way_back` only `same`. `apps` are the
    applications that the operator named, whose routes it changes; `scope` are those that only limit it.
    """

    make: Callable[[CurrentDocument, int], Tree | ParsedText]
    moves_work: bool = False
    way_back: bool = False
    meta: MetaPolicy = MetaPolicy.ALWAYS
    apps: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A change as it would be written: from `current` to `new`, which is valid.

    `difference` has the lines of a unified diff; `impact` is the effect on the jobs by the documents alone.
    """

    edit: Edit
    meta: ChangeMeta
    current: CurrentDocument
    new: ParsedText
    difference: tuple[str, ...]
    impact: Impact

    @property
    def changes_text(self) -> bool:
        """Whether there is anything to write."""
        return self.new.text not in (self.current.text, self.current.body)

    def apps(self, outages: Outages) -> tuple[str, ...]:
        """Return the named applications that would get jobs in another datacenter, given the known outages."""
        needs = targets(self.impact.given(Facts(outages=outages))).values()
        return tuple(dict.fromkeys(app for apps in needs for app in apps if app))


def plan(
    current: CurrentDocument,
    edit: Edit,
    meta: ChangeMeta,
    *,
    full_document: bool = False,
    new_apps: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Draft:
    """Draft an edit of the current document; `full_document` turns a bare word into a document with `meta`.

    Raises ChangeRefused where the edit cannot be made, its result is not a valid document, or (without `new_apps`) it
    names an application that the document does not.
    """
    if not new_apps:
        _demand_known(current, (*edit.apps, *edit.scope))
    made = edit.make(current, meta.at_ns)
    base = made if isinstance(made, ParsedText) else current.parsed
    assert base is not None  # An edit of values has seen valid ones.
    _demand_valid(base)
    tree = made.tree if isinstance(made, ParsedText) else made
    if _takes_meta(edit, tree, current):
        tree = with_meta(tree, meta, full_document=full_document)
    new = base if tree is base.tree else rewrite(base, tree, max_bytes=max_bytes)
    document = _demand_valid(new)
    return Draft(
        edit=edit,
        meta=meta,
        current=current,
        new=new,
        difference=tuple(_difference(current, new.text)),
        impact=Impact(current.document, document, meta.at_ns),
    )


def _demand_known(current: CurrentDocument, apps: Sequence[str]) -> None:
    if current.document is None:
        return
    known = current.document.apps
    unknown = [app for app in dict.fromkeys(apps) if app not in known]
    if unknown:
        lines = [f"the document names no application {app}{_nearest(app, known)}" for app in unknown]
        raise ChangeRefused("\n".join((*lines, "to name one for the first time, pass --new")))


def _nearest(app: str, known: Collection[str]) -> str:
    close = get_close_matches(app, known, n=_NEAREST)
    return f": did you mean {' or '.join(close)}?" if close else ""


def _demand_valid(parsed: ParsedText) -> RoutingDocument:
    if parsed.document is None:
        raise ChangeRefused(
            f"the result would not be a valid document, nothing was written: {parsed.refusal}"
        ) from parsed.refusal
    return parsed.document


def _takes_meta(edit: Edit, tree: Tree, current: CurrentDocument) -> bool:
    if edit.meta is not MetaPolicy.UNLESS_EDITED:
        return edit.meta is MetaPolicy.ALWAYS
    meta = tree.get("meta") if isinstance(tree, dict) else None
    return current.document is not None and meta == (current.document.meta or None)


def _difference(current: CurrentDocument, new: bytes) -> Sequence[str]:
    """Return the difference without signatures, unless only they differ."""
    body = unsigned(new)
    return difference(current.text, new) if body == current.body else difference(current.body, body)


def difference(old: bytes | None, new: bytes) -> Sequence[str]:
    """Return the lines of a unified diff of two texts, without line breaks; JSON on one line is indented first."""
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
