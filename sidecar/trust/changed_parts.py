"""Says which parts of a routing document a change touches: for whom it must be signed, and how far it reaches."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar.routing.model import Application, RoutingDocument


@dataclass(frozen=True, slots=True)
class ChangedParts:
    """The applications whose routes differ; `every_app` where something for all of them does.

    `only_kind` is `drill`, `mark` or `pin` where nothing else changes: drills, which datacenters are in service, or
    routes of jobs of known applications. It is "" for all other changes, and where nothing changes.
    """

    apps: frozenset[str]
    every_app: bool
    only_kind: str = ""


def changed_parts(before: RoutingDocument | None, after: RoutingDocument) -> ChangedParts:
    """Return the parts that differ between two documents, `meta` aside; against None all do."""
    if before is None:
        return ChangedParts(frozenset(after.apps), every_app=True)
    marks = _places(before) == _places(after)
    services = before.datacenters != after.datacenters
    drills = before.drills != after.drills
    shared = before.default != after.default or before.workers != after.workers
    names = before.apps.keys() | after.apps.keys()
    changed = {name for name in names if before.apps.get(name) != after.apps.get(name)}
    pins = all(_route(before.apps.get(name)) == _route(after.apps.get(name)) for name in changed)
    kinds = {
        "drill" if drills else "",
        ("mark" if marks else "other") if services else "",
        ("pin" if pins else "other") if changed else "",
        "other" if shared else "",
    } - {""}
    only = kinds.pop() if len(kinds) == 1 else "other"
    drilled: set[str] = set()
    all_drilled = False
    for drill in {*before.drills} ^ {*after.drills}:
        drilled |= drill.apps or set()
        all_drilled = all_drilled or drill.apps is None
    return ChangedParts(
        frozenset(changed | drilled),
        every_app=shared or services or all_drilled,
        only_kind="" if only == "other" else only,
    )


def _places(document: RoutingDocument) -> object:
    """Return the datacenters of a document as if all were in service."""
    if document.datacenters is None:
        return None
    return {name: replace(one, available=True) for name, one in document.datacenters.items()}


def _route(application: Application | None) -> object:
    return None if application is None else application.route
