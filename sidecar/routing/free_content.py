"""Reads the content of a document that is free within bounds: `meta`, signatures and reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.routing.fields import FieldReader, shown
from sidecar.yaml_reader import MAX_DEPTH, Path, Tree

MAX_META_ENTRIES = 10_000
"""Bound of the keys and list items of `meta`, at any depth. Each of 1,600 paused ramps needs six."""

MAX_META_CHARACTERS = 256 * 1024
"""Bound of the characters of all keys and scalars of `meta` together."""

MAX_REASON = 4096
"""Bound of the characters of a `reason`, which is shown and logged in one line."""


def read_meta(reader: FieldReader, tree: Tree) -> Mapping[str, Any]:
    """Return `meta`: a mapping with any content, within the bounds."""
    path: Path = ("meta",)
    if not isinstance(tree, dict):
        reader.wrong(path, f"found {shown(tree)}, expected a mapping such as {{by: lin, reason: DC1 cooling fails}}")
        return {}
    characters = 0
    for entries, text in enumerate(_entries(tree), 1):
        reader.checkpoint()
        characters += len(text)
        if entries > MAX_META_ENTRIES or characters > MAX_META_CHARACTERS:
            reader.wrong(
                path,
                f"found more than {MAX_META_ENTRIES:,} entries or {MAX_META_CHARACTERS:,} characters, expected less: "
                "shorten it; earlier changes are in the audit, and details belong into the ticket",
            )
            return {}
    check_free(reader, tree, path)
    return tree


def read_reason(reader: FieldReader, keys: Mapping[str, Tree], path: Path) -> str:
    """Return a reason in one line, as it is logged and shown."""
    reason = keys.get("reason", "")
    if not isinstance(reason, str):
        reader.wrong(path, f"found {shown(reason)}, expected a text")
        return ""
    if len(reason) > MAX_REASON:
        reader.wrong(path, f"found {len(reason):,} characters, expected at most {MAX_REASON:,}: name a ticket instead")
        return ""
    check_free(reader, reason, path)
    return " ".join(reason.split())


def check_free(reader: FieldReader, tree: Tree, path: Path) -> None:
    """Check free texts and trees: only their depth, and that they can be written as UTF-8."""
    reader.checkpoint()
    if isinstance(tree, str):
        if any("\ud800" <= char <= "\udfff" for char in tree):
            reader.wrong(path, "found half of a character (an escape from \\ud800 to \\udfff), expected whole ones")
    elif len(path) >= MAX_DEPTH:
        reader.wrong(path, f"found nesting deeper than {MAX_DEPTH} levels, expected less")
    elif isinstance(tree, dict):
        for key, entry in tree.items():
            check_free(reader, key, path)
            check_free(reader, entry, (*path, key))
    else:
        for index, item in enumerate(tree or ()):
            check_free(reader, item, (*path, index))


def _entries(tree: Tree) -> Iterator[str]:
    """Yield the text of each entry at any depth: its key and its scalar, "" for a list or mapping in a list."""
    if isinstance(tree, dict):
        for key, entry in tree.items():
            yield key + entry if isinstance(entry, str) else key
            yield from _entries(entry)
    elif isinstance(tree, list):
        for item in tree:
            yield item if isinstance(item, str) else ""
            yield from _entries(item)
