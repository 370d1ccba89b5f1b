"""A document as plain values: reaching, inserting and removing its parts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from sidecar.yaml_reader import Tree

Top = dict[str, Tree]

ORDER = ("version", "meta", "datacenters", "default", "apps", "drills", "workers")


def full(tree: Tree) -> Top:
    """Return a copy of a document as a mapping; a bare word becomes the default route of one."""
    if isinstance(tree, dict):
        return deepcopy(tree)
    return {"default": tree} if tree else {}


def insert(top: Top, key: str, value: Tree, order: Sequence[str] = ORDER) -> None:
    """Set a key: in its place if it is there, else behind the keys that come before it in `order`."""
    if key not in top:
        before = [known for known in top if known in order[: order.index(key)]]
        position = list(top).index(before[-1]) + 1 if before else 0
        entries = list(top.items())
        entries.insert(position, (key, value))
        top.clear()
        top.update(entries)
    top[key] = value


def mapping_in(tree: Top, key: str, *, make: bool = False) -> Top:
    """Return the mapping under a key, or else an empty one, which is put into the tree only with `make`."""
    found = tree.get(key)
    if isinstance(found, dict):
        return found
    made: Top = {}
    if make:
        if key in ORDER:
            insert(tree, key, made)
        else:
            tree[key] = made
    return made


def prune(top: Top, *path: str) -> None:
    """Remove the mapping at a path if it is empty, and those above it that become empty."""
    if not path:
        return
    above = top
    for key in path[:-1]:
        above = mapping_in(above, key)
    if above.get(path[-1]) == {}:
        del above[path[-1]]
        prune(top, *path[:-1])
