"""The warnings of `dc-sidecar check`: entries of a routing document that are legal but odd."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import yaml

from sidecar.errors import Problem
from sidecar.routing.model import Active, OnEmpty, Ramp, Route, RoutingDocument, Split
from sidecar.routing.parsed_text import ParsedText
from sidecar.routing.scalars import SECOND_NS
from sidecar.routing.schedule import weights_at
from sidecar.routing.zone import show_time
from sidecar.yaml_reader import Path, Position, Tree, show

_DAY_NS = 86_400 * SECOND_NS
# The default maximum of candidates in a request.
_MANY_WORKERS = 100_000

# What ends a line to the YAML parser, which counted them.
_BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")

_IMPATIENT = (
    "applications that are not named under `apps` inherit no patience: with them each call fails over by itself. Name "
    "those that must not flap"
)

# A path, whether it is about the key rather than the value, and the warning.
Finding = tuple[Path, bool, str]


def warnings(parsed: ParsedText, now_ns: int) -> tuple[Problem, ...]:
    """Return the warnings about a valid document, in the order of its text; `now_ns` in Unix nanoseconds.

    A warning has no line and column where the YAML parser could not read the JSON up to there.
    """
    tree, document = parsed.tree, parsed.document
    if not isinstance(tree, dict) or document is None:
        return ()
    where = parsed.record.places
    found: list[Finding] = [*_drills(document, now_ns), *_networks(document), *_workers(document)]
    for path, keys, route in _routes(tree, document):
        found += _route(path, keys, route, document, now_ns)
    if document.default.failover is not None:
        found.append((("default", "failover"), True, _IMPATIENT))
    lines = _BREAKS.split(parsed.decoded)
    for path, is_key, name in _names(tree):
        place = where.get(path)
        if place is None:
            continue
        line, column = place.key if is_key else place.value
        if lines[line - 1][column - 1] not in "'\"" and (taken := _taken_for(name)):
            found.append((path, is_key, f"the name {name} is {taken} to other YAML readers: put it in quotes"))
    problems = [_problem(finding, where) for finding in found]
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def _problem(finding: Finding, where: Mapping[Path, Position]) -> Problem:
    path, is_key, message = finding
    place = where.get(path)
    if place is None:
        return Problem(show(path), message)
    return Problem(show(path), message, *(place.key if is_key else place.value))


def _routes(tree: dict[str, Tree], document: RoutingDocument) -> Iterator[tuple[Path, dict[str, Tree], Route]]:
    """Yield each route that is written out: its path, its own keys, and the route with its inherited keys."""
    if "default" in tree:
        yield ("default",), _keys(tree["default"]), document.default
    for app, entry in _keys(tree.get("apps")).items():
        application = document.apps[app]
        yield ("apps", app), _keys(entry), application.route
        for job, own in _keys(_keys(entry).get("jobs")).items():
            yield ("apps", app, "jobs", job), _keys(own), application.jobs[job]


def _keys(tree: Tree) -> dict[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _route(
    path: Path, keys: dict[str, Tree], route: Route, document: RoutingDocument, now_ns: int
) -> Iterator[Finding]:
    idle = [key for key in keys if key != "jobs"]
    if route.selector is None and idle and not _inherited(path, document):
        message = f"no active, split or ramp, here or inherited: every candidate passes, {', '.join(idle)} or not"
        yield (*path, idle[0]), True, message
    if "split" in keys and isinstance(route.selector, Split) and (message := _odd_sum(route.selector)):
        yield (*path, "split"), False, message
    if "ramp" in keys and isinstance(route.selector, Ramp):
        ramp = route.selector
        if ramp.start_ns + ramp.duration_ns < now_ns - _DAY_NS:
            end = show_time(ramp.start_ns + ramp.duration_ns)
            yield (*path, "ramp"), False, f"finished at {end}: write `active: {ramp.target}` instead"
    if "backups" in keys:
        for index, backup in enumerate(route.backups):
            if isinstance(route.selector, Active) and backup == route.selector.datacenter:
                yield (
                    (*path, "backups", index),
                    False,
                    f"{backup} is the active one already: as a backup it does nothing",
                )
            elif isinstance(route.selector, Split) and dict(route.selector.weights).get(backup):
                yield (*path, "backups", index), False, f"{backup} is in the split already: as a backup it does nothing"
    if "min_workers" in keys and route.min_workers > _MANY_WORKERS:
        message = f"more than the {_MANY_WORKERS} candidates that a request may have: every answer would be DEGRADED"
        yield (*path, "min_workers"), False, message
    yield from _all_marked(path, route, document, now_ns)


def _inherited(path: Path, document: RoutingDocument) -> bool:
    """Return whether a route with a selector inherits from the one at this path."""
    applications = document.apps.values() if path == ("default",) else [document.apps[str(path[1])]]
    return any(
        route.selector is not None
        for application in (applications if len(path) < 3 else ())
        for route in (application.route, *application.jobs.values())
    )


def _all_marked(path: Path, route: Route, document: RoutingDocument, now_ns: int) -> Iterator[Finding]:
    marked = {name for name, datacenter in (document.datacenters or {}).items() if not datacenter.available}
    if route.selector is None or not marked:
        return
    order = dict.fromkeys((*(name for name, weight in weights_at(route.selector, now_ns) if weight), *route.backups))
    if marked.issuperset(order):
        who = "any other may run them" if route.on_empty is OnEmpty.ANY else "nobody runs its jobs"
        yield path, False, f"all its datacenters ({', '.join(order)}) are marked `available: false`: {who}"


def _odd_sum(split: Split) -> str:
    """Return a warning for weights that look like percentages, or shares of 1, and do not add up to the whole."""
    weights = [weight for _, weight in split.weights]
    total = sum(weights)
    whole = 1 if max(weights) <= 1 and any(weight % 1 for weight in weights) else 100
    looks = whole == 1 or (len(weights) > 1 and 20 <= max(weights) <= 100 and total <= 200)
    if not looks or abs(total - whole) < whole * 1e-6:
        return ""
    shares = ", ".join(f"{name} gets {100 * weight / total:.3g} %" for name, weight in split.weights[:4])
    return f"the weights add up to {total:g}, not to {whole}: {shares}"


def _drills(document: RoutingDocument, now_ns: int) -> Iterator[Finding]:
    for index, drill in enumerate(document.drills):
        path = ("drills", index)
        if drill.until_ns <= now_ns:
            yield (*path, "until"), False, f"over since {show_time(drill.until_ns)}: the drill may be removed"
        for app in sorted(drill.apps or ()):
            if app not in document.apps:
                close = get_close_matches(app, document.apps, n=1)
                hint = f": did you mean {close[0]}?" if close else ": is the name right?"
                yield (*path, "apps"), False, f"{app} has no route of its own{hint}"


def _workers(document: RoutingDocument) -> Iterator[Finding]:
    wider = [rule for rule in document.workers if rule.match.endswith("*") and not rule.available]
    for index, rule in enumerate(document.workers):
        path = ("workers", index)
        if rule.available:
            yield path, False, f"{rule.match} is available, as without this entry: remove it, or set available: false"
            continue
        outer = next((one for one in wider if one is not rule and rule.match.startswith(one.match[:-1])), None)
        if outer is not None:
            yield (*path, "match"), False, f"{outer.match} covers it already: the entry changes nothing"


def _networks(document: RoutingDocument) -> Iterator[Finding]:
    datacenters = (document.datacenters or {}).values()
    owners = {network: datacenter.name for datacenter in datacenters for network in datacenter.cidrs}
    for datacenter in datacenters:
        for index, network in enumerate(datacenter.cidrs):
            outer = next((wider for wider in network.wider() if wider in owners), None)
            if outer is not None:
                path = ("datacenters", datacenter.name, "cidrs", index)
                owner = owners[outer]
                hint = "it changes nothing" if owner == datacenter.name else f"its addresses are {datacenter.name}'s"
                yield path, False, f"{network} lies within {outer} of {owner}: {hint}"


def _names(tree: dict[str, Tree]) -> Iterator[tuple[Path, bool, str]]:
    """Yield each datacenter name in a document: its path, whether it is a key, and the name."""
    datacenters = tree.get("datacenters")
    yield from _listed(("datacenters",), datacenters)
    yield from ((("datacenters", name), True, name) for name in _keys(datacenters))
    yield from _routed(("default",), tree.get("default"))
    for app, entry in _keys(tree.get("apps")).items():
        yield from _routed(("apps", app), entry)
        for job, own in _keys(_keys(entry).get("jobs")).items():
            yield from _routed(("apps", app, "jobs", job), own)
    drills = tree.get("drills")
    for index, drill in enumerate(drills if isinstance(drills, list) else ()):
        yield from _named(("drills", index, "datacenter"), _keys(drill).get("datacenter"))


def _routed(path: Path, tree: Tree) -> Iterator[tuple[Path, bool, str]]:
    yield from _named(path, tree)
    keys = _keys(tree)
    yield from _named((*path, "active"), keys.get("active"))
    yield from (((*path, "split", name), True, name) for name in _keys(keys.get("split")))
    for end in ("from", "to"):
        yield from _named((*path, "ramp", end), _keys(keys.get("ramp")).get(end))
    yield from _listed((*path, "backups"), keys.get("backups"))


def _named(path: Path, tree: Tree) -> Iterator[tuple[Path, bool, str]]:
    if isinstance(tree, str):
        yield path, False, tree


def _listed(path: Path, tree: Tree) -> Iterator[tuple[Path, bool, str]]:
    for index, item in enumerate(tree if isinstance(tree, list) else ()):
        yield from _named((*path, index), item)


_WORDS: Any = yaml.SafeLoader("")


def _taken_for(name: str) -> str:
    """Return the type that readers of YAML 1.1 give to an unquoted name, "" if it is a text to them too."""
    if name.lower() in ("y", "n"):
        return "a boolean"
    kind: str = _WORDS.resolve(yaml.ScalarNode, name, (True, False)).rpartition(":")[2]
    types = {"bool": "a boolean", "null": "null", "int": "a number", "float": "a number", "timestamp": "a time"}
    return types.get(kind, "")
