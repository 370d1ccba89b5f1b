"""The names in a routing document that a shell completes: applications, datacenters, jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sidecar.yaml_reader import Tree, read


def tree_of(text: bytes, max_bytes: int) -> Tree:
    """Return the tree of a document, "" for a text that is too long; its routes are not validated.

    Raises DocumentRejected where it is neither YAML nor JSON, UnicodeDecodeError where it is not UTF-8.
    """
    return read(text.decode().removeprefix("\ufeff"), lambda: None) if len(text) <= max_bytes else ""


def of_kind(kind: str, tree: Tree, arguments: Sequence[str]) -> Iterable[str]:
    """Return the names of a kind (see `table`), behind the command's `arguments` so far."""
    if kind == "apps":
        return apps(tree)
    if kind == "jobs":
        return jobs(tree, arguments[0])
    known = datacenters(tree)
    if kind == "apps_and_datacenters":
        return (*apps(tree), *known)
    if kind == "apps_and_weights":
        weights = [f"{name}=" for name in known]
        return weights if arguments else (*apps(tree), *weights)
    return known


def apps(tree: Tree) -> tuple[str, ...]:
    """Return the applications, in the document's order."""
    return tuple(_mapping(tree, "apps"))


def jobs(tree: Tree, app: str) -> tuple[str, ...]:
    """Return the jobs of an application that have routes of their own."""
    return tuple(_mapping(_mapping(tree, "apps").get(app), "jobs"))


def datacenters(tree: Tree) -> tuple[str, ...]:
    """Return the datacenters: those of the document's block, else all that routes and then drills name, each once."""
    if isinstance(tree, str):
        return (tree,) if tree else ()
    block = tree.get("datacenters") if isinstance(tree, dict) else None
    return tuple(dict.fromkeys(_texts(block) or _named(tree)))


def _named(tree: Tree) -> Iterator[str]:
    if not isinstance(tree, dict):
        return
    yield from _of_route(tree.get("default"))
    for route in _mapping(tree, "apps").values():
        yield from _of_route(route)
        for job in _mapping(route, "jobs").values():
            yield from _of_route(job)
    drills = tree.get("drills")
    for drill in drills if isinstance(drills, list) else ():
        yield from _texts([drill.get("datacenter")] if isinstance(drill, dict) else None)


def _of_route(route: Tree) -> Iterator[str]:
    """Yield the datacenters that a route names itself; those that it inherits are named before."""
    if isinstance(route, str):
        yield route
    elif isinstance(route, dict):
        yield from _texts([route.get("active")])
        yield from _mapping(route, "split")
        ramp = _mapping(route, "ramp")
        yield from _texts([ramp.get("from"), ramp.get("to")])
        yield from _texts(route.get("backups"))


def _mapping(tree: Tree, key: str) -> dict[str, Tree]:
    found = tree.get(key) if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else {}


def _texts(tree: Tree) -> list[str]:
    """Return the texts of a list, or the keys of a mapping."""
    return [item for item in tree if isinstance(item, str)] if isinstance(tree, list | dict) else []
