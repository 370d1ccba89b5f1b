"""Who changed the document, when and why: the part of `meta` that each change writes anew."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.editing.tree import full, insert, mapping_in
from sidecar.routing.model import RoutingDocument
from sidecar.routing.scalars import SECOND_NS, format_time, parse_time
from sidecar.yaml_reader import Tree

_KEYS = ("by", "at", "reason", "ticket")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMeta:
    """Who, when (Unix nanoseconds) and why; an empty text says nothing."""

    by: str
    at_ns: int
    reason: str = ""
    ticket: str = ""


def with_meta(tree: Tree, stamp: ChangeMeta, *, full_document: bool = False) -> Tree:
    """Return the document with a stamp in place of that of the change before; the rest of `meta` stays.

    A bare word has no room for it and stays as it is, unless a full document is asked for.
    """
    if not isinstance(tree, dict) and not full_document:
        return tree
    top = full(tree)
    if "meta" not in top:
        insert(top, "meta", {})
    meta = mapping_in(top, "meta", make=True)
    said = {"by": stamp.by, "at": format_time(stamp.at_ns // SECOND_NS * SECOND_NS)}
    said |= {"reason": stamp.reason, "ticket": stamp.ticket}
    for key in _KEYS:
        if said[key]:
            insert(meta, key, said[key], _KEYS)
        else:
            meta.pop(key, None)
    return top


def last_change(document: RoutingDocument) -> int | None:
    """Return when a document says it was changed last, Unix nanoseconds, or None where it does not say."""
    at = document.meta.get("at")
    return parse_time(at) if isinstance(at, str) else None
