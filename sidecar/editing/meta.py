"""Who changed the document, when and why: the part of `meta` that every change replaces."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.editing.tree import full, insert, mapping_in
from sidecar.routing.model import RoutingDocument
from sidecar.routing.scalars import SECOND_NS, format_time, parse_time
from sidecar.yaml_reader import Tree

_KEYS = ("by", "at", "reason", "ticket")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMeta:
    """Who, when (Unix nanoseconds) and why; an empty text is left out."""

    by: str
    at_ns: int
    reason: str = ""
    ticket: str = ""


def with_meta(tree: Tree, change: ChangeMeta, *, full_document: bool = False) -> Tree:
    """Return the document with this change's `meta` in place of the last one's; other keys of `meta` stay.

    A bare word has no room for it, and is returned as it is unless `full_document` is set.
    """
    if not isinstance(tree, dict) and not full_document:
        return tree
    top = full(tree)
    if "meta" not in top:
        insert(top, "meta", {})
    meta = mapping_in(top, "meta", make=True)
    said = {"by": change.by, "at": format_time(change.at_ns // SECOND_NS * SECOND_NS)}
    said |= {"reason": change.reason, "ticket": change.ticket}
    for key in _KEYS:
        if said[key]:
            insert(meta, key, said[key], _KEYS)
        else:
            meta.pop(key, None)
    return top


def last_change(document: RoutingDocument) -> int | None:
    """Return when a document was changed last by its `meta.at`, as Unix nanoseconds; None without a valid one."""
    at = document.meta.get("at")
    return parse_time(at) if isinstance(at, str) else None
