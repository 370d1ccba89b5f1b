"""Reads a routing document: accepts it whole, or refuses it whole with all its problems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from hashlib import sha256
from typing import TypeVar

from sidecar.errors import DocumentRejected, Problem
from sidecar.footprint import BYTE_OF_TEXT, NETWORK, ROUTE, UNLIMITED, Footprint
from sidecar.routing.drains import MAX_MATCH, MAX_RULES
from sidecar.routing.fields import FieldReader, shown
from sidecar.routing.free_content import check_free, read_meta, read_reason
from sidecar.routing.health_checks import CHECK_KEYS, read_checks
from sidecar.routing.location import NAME, locator_of
from sidecar.routing.model import (
    DEFAULT_OBSERVATIONS,
    MAX_OBSERVATIONS,
    Active,
    Application,
    Datacenter,
    Drill,
    FailBack,
    Failover,
    OnEmpty,
    Ramp,
    Route,
    RoutingDocument,
    Selector,
    Split,
    Sticky,
    WorkerRule,
)
from sidecar.routing.networks import Cidr, Mapped, read_cidr
from sidecar.routing.scalars import format_time, parse_number
from sidecar.yaml_reader import Checkpoint, ParseRecord, Path, Tree, read

MAX_BYTES = 1024 * 1024

_TOP_KEYS = ("version", "meta", "datacenters", "default", "apps", "drills", "workers", "signatures")
_WORKER_KEYS = ("match", "available", "reason")
_SELECTORS = ("active", "split", "ramp")
_ROUTE_KEYS = (*_SELECTORS, "backups", "min_workers", "on_empty", "sticky", "failover")
_FAILOVER_KEYS = ("after", "back_after", "back", "failed_back", "observations")
_RAMP_KEYS = ("from", "to", "start", "duration", "steps")
_DRILL_KEYS = ("datacenter", "start", "until", "apps", "reason")
_DATACENTER_KEYS = ("cidrs", "available", *CHECK_KEYS)
# An address or a network, or the beginning or the end of an address with a * for the rest.
_MATCH = re.compile(r"[!-)+-~]+\*?|\*[!-)+-~]+")
_UINT32 = 2**32 - 1

E = TypeVar("E", bound=Enum)


def revision_of(text: bytes) -> str:
    """Return the revision of a text: the first 12 hex digits of SHA-256 over its bytes."""
    return sha256(text).hexdigest()[:12]


def parse_document(
    text: bytes, *, max_bytes: int = MAX_BYTES, budget: int = UNLIMITED, checkpoint: Checkpoint = lambda: None
) -> RoutingDocument:
    """Return the routing document that a text is, its inheritance applied.

    `checkpoint` is called about every fraction of a millisecond: if it yields the processor, other threads run while a
    big text is read. Raises DocumentRejected, and nothing else, for an invalid one, or beyond `budget` bytes of memory.
    """
    footprint = Footprint(budget, len(text) * BYTE_OF_TEXT)
    tree = read_tree(text, max_bytes=max_bytes, checkpoint=checkpoint, footprint=footprint)
    return _Reader(text, checkpoint, footprint).document(tree)


def read_tree(
    text: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    checkpoint: Checkpoint = lambda: None,
    record: ParseRecord | None = None,
    footprint: Footprint | None = None,
) -> Tree:
    """Return the tree of a document's text; a bare word is a scalar.

    The other arguments are those of `yaml_reader.read`. Raises DocumentRejected for a text that is too long, empty, or
    neither YAML nor JSON in UTF-8.
    """
    if len(text) > max_bytes:
        raise _refused(
            f"the text has {len(text)} bytes, at most {max_bytes} are allowed: shorten it, or raise --max-document-size"
        )
    try:
        decoded = text.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        raise _refused(f"byte {error.start} is not UTF-8: save the text as UTF-8", line, column) from error
    word = decoded.strip(" \t\r\n")
    if not word:
        raise _refused(
            "the text is empty, expected a datacenter's name or a document: to keep the routes, leave it as it is"
        )
    # Errors name places of the text as it is: only a byte order mark may be removed.
    return word if NAME.fullmatch(word) else read(decoded, checkpoint, record, footprint)


def document_of(
    text: bytes, tree: Tree, *, checkpoint: Checkpoint = lambda: None, footprint: Footprint | None = None
) -> RoutingDocument:
    """Return the routing document of a tree. Raises DocumentRejected where it is not a valid one, or does not fit."""
    return _Reader(text, checkpoint, footprint or Footprint(UNLIMITED)).document(tree)


def _refused(message: str, line: int = 1, column: int = 1) -> DocumentRejected:
    return DocumentRejected((Problem("", message, line, column),))


class _Reader(FieldReader):
    """Turns the tree of a text into a document, inheritance applied."""

    def __init__(self, text: bytes, checkpoint: Checkpoint, footprint: Footprint) -> None:
        super().__init__(text, checkpoint, footprint)
        # Many routes are one bare name: they share one value.
        self._bare: dict[tuple[int, str], Route] = {}

    def document(self, tree: Tree) -> RoutingDocument:
        if isinstance(tree, str):
            name = self.name(tree, ())
            self.refuse_if_wrong()
            return RoutingDocument(revision_of(self.text), default=Route(selector=Active(name)))
        top = self.mapping(tree, (), _TOP_KEYS, "a datacenter's name, or a mapping with `default` and `apps`")
        version = top.get("version")
        if version is not None and version != "1":
            self.wrong(("version",), f"found {shown(version)}, expected 1, the only version there is")
        meta = read_meta(self, top["meta"]) if "meta" in top else {}
        if "signatures" in top:
            # Those of a JSON document, which has no comments; sidecar/trust interprets them.
            if isinstance(top["signatures"], dict):
                check_free(self, top["signatures"], ("signatures",))
            else:
                self.wrong(("signatures",), f"found {shown(top['signatures'])}, expected what `dc-sidecar sign` writes")
        self.datacenters = self._datacenters(top["datacenters"]) if "datacenters" in top else None
        default = self._route(top["default"], ("default",), Route()) if "default" in top else Route()
        apps = self._applications(top["apps"], default) if "apps" in top else {}
        drills = self._drills(top["drills"]) if "drills" in top else ()
        workers = self._workers(top["workers"]) if "workers" in top else ()
        self.refuse_if_wrong()
        document = RoutingDocument(revision_of(self.text), default, apps, self.datacenters, drills, meta, workers)
        # Made here, on the thread that parses, and not by the first request.
        locator_of(document, self.checkpoint)
        return document

    def _datacenters(self, tree: Tree) -> Mapping[str, Datacenter]:
        path: Path = ("datacenters",)
        if isinstance(tree, list):
            return {name: Datacenter(name) for name in self.names(tree, path, used=False)}
        entries = self.mapping(tree, path, (), "a list of names, or a mapping of names to their settings")
        self.bound_datacenters(entries, path)
        owners: dict[Cidr, str] = {}
        datacenters = {}
        for name, entry in entries.items():
            here = (*path, name)
            self.name(name, here, used=False, key=True)
            keys = self.mapping(entry, here, _DATACENTER_KEYS, "a mapping; write {} for none")
            cidrs = self._cidrs(keys["cidrs"], (*here, "cidrs"), owners, name) if "cidrs" in keys else ()
            available = self.choice(keys, here, "available", {"true": True, "false": False}, default=True)
            datacenters[name] = Datacenter(name, cidrs, available, read_checks(self, keys, here))
        return datacenters

    def _cidrs(self, tree: Tree, path: Path, owners: dict[Cidr, str], owner: str) -> tuple[Cidr, ...]:
        networks = []
        for index, item in enumerate(self.items(tree, path, "a list of networks such as [10.1.0.0/16]")):
            here = (*path, index)
            self.charge(NETWORK, here)
            found = read_cidr(item) if isinstance(item, str) else None
            if found is None:
                self.wrong(here, f"found {shown(item)}, expected a network such as 10.1.0.0/16 or fd00:1::/32")
                continue
            if isinstance(found, Mapped):
                self.wrong(here, f"found {shown(item)}, IPv4 addresses written as IPv6: write {found.cidr}")
                continue
            network, beyond = found
            if beyond:
                self.wrong(here, f"found {shown(item)}, which has bits beyond its prefix: did you mean {network}?")
            elif network in owners:
                self.wrong(
                    here, f"found {network} again, which {owners[network]} has already: a network is in one place"
                )
            owners[network] = owner
            networks.append(network)
        return tuple(networks)

    def _applications(self, tree: Tree, default: Route) -> Mapping[str, Application]:
        path: Path = ("apps",)
        apps = {}
        for name, entry in self.mapping(tree, path, (), "a mapping of applications to their routes").items():
            here = (*path, name)
            self.free_name(name, here, "an application", key=True)
            self.charge(ROUTE, here)
            jobs: Mapping[str, Route] = {}
            route = self._route(entry, here, default, jobs=True)
            if isinstance(entry, dict) and "jobs" in entry:
                jobs = self._jobs(entry["jobs"], (*here, "jobs"), route)
            apps[name] = Application(route, jobs)
        return apps

    def _jobs(self, tree: Tree, path: Path, base: Route) -> Mapping[str, Route]:
        jobs = {}
        for name, entry in self.mapping(tree, path, (), "a mapping of job ids to their routes").items():
            here = (*path, name)
            self.free_name(name, here, "a job", key=True)
            self.charge(ROUTE, here)
            jobs[name] = self._route(entry, here, base)
        return jobs

    def _route(self, tree: Tree, path: Path, base: Route, *, jobs: bool = False) -> Route:
        if isinstance(tree, str):
            key = (id(base), self.name(tree, path))
            route = self._bare.get(key)
            if route is None:
                route = self._bare[key] = replace(base, selector=Active(key[1]))
            return route
        known = (*_ROUTE_KEYS, "jobs") if jobs else _ROUTE_KEYS
        expected = "a datacenter's name, or a mapping with " + ", ".join(known)
        keys = self.mapping(tree, path, known, expected)
        selectors = [key for key in _SELECTORS if key in keys]
        if len(selectors) > 1:
            self.wrong(path, f"found {' and '.join(selectors)}, expected one of them at most: they exclude each other")
        selector = self._selector(selectors[0], keys, (*path, selectors[0])) if selectors else base.selector
        backups = base.backups
        if "backups" in keys:
            backups = tuple(self.names(keys["backups"], (*path, "backups")))
        return Route(
            selector,
            backups,
            self.integer(keys, path, "min_workers", 1, _UINT32, base.min_workers),
            self.choice(keys, path, "on_empty", _values(OnEmpty), default=base.on_empty),
            self.choice(keys, path, "sticky", _values(Sticky), default=base.sticky),
            self._failover(keys["failover"], (*path, "failover")) if "failover" in keys else base.failover,
        )

    def _failover(self, tree: Tree, path: Path) -> Failover | None:
        keys = self.mapping(tree, path, _FAILOVER_KEYS, "a mapping such as {after: 10s, back_after: 5m, back: auto}")
        back = self.choice(keys, path, "back", _values(FailBack), default=FailBack.AUTO)
        if back is FailBack.MANUAL and "back_after" in keys:
            self.wrong((*path, "back_after"), "found back_after with back: manual, expected one of them")
        failover = Failover(
            self.duration(keys.get("after"), (*path, "after")) or 0,
            self.duration(keys.get("back_after"), (*path, "back_after")) or 0,
            back,
            self.time(keys.get("failed_back"), (*path, "failed_back")),
            self.integer(keys, path, "observations", 1, MAX_OBSERVATIONS, DEFAULT_OBSERVATIONS),
        )
        return failover if failover.after_ns or failover.keeps_away else None

    def _selector(self, kind: str, keys: Mapping[str, Tree], path: Path) -> Selector | None:
        tree = keys[kind]
        if kind == "active":
            return Active(self.name(tree, path))
        return self._split(tree, path) if kind == "split" else self._ramp(tree, path)

    def _split(self, tree: Tree, path: Path) -> Split:
        weights = []
        shape = "weights of datacenters such as {dc1: 90, dc2: 10}"
        entries = self.mapping(tree, path, (), shape)
        self.bound_datacenters(entries, path)
        for name, entry in entries.items():
            here = (*path, name)
            self.name(name, here, key=True)
            weight = parse_number(entry) if isinstance(entry, str) else None
            if weight is None or weight < 0:
                self.wrong(here, f"found {shown(entry)}, expected a weight: a finite number, 0 or more, without a unit")
                weight = 1.0
            weights.append((name, weight))
        if isinstance(tree, dict) and not any(weight for _, weight in weights):
            found = "no datacenter" if not weights else "only weights of 0"
            self.wrong(path, f"found {found}, expected {shape}, one of them over 0")
        return Split(tuple(weights))

    def _ramp(self, tree: Tree, path: Path) -> Ramp | None:
        keys = self.mapping(tree, path, _RAMP_KEYS, "a mapping with from, to, start, duration, and steps if you like")
        if not isinstance(tree, dict):
            return None
        source = self.name(self.needed(keys, path, "from"), (*path, "from"))
        target = self.name(self.needed(keys, path, "to"), (*path, "to"))
        if source and source == target:
            self.wrong((*path, "to"), f"found {target}, where the ramp starts, expected another datacenter")
        start = self.time(self.needed(keys, path, "start"), (*path, "start"))
        duration = self.duration(self.needed(keys, path, "duration"), (*path, "duration"))
        steps = self.integer(keys, path, "steps", 1, 10_000, 10)
        return Ramp(source, target, start or 0, duration or 1, steps)

    def _drills(self, tree: Tree) -> tuple[Drill, ...]:
        drills = []
        for index, entry in enumerate(self.items(tree, ("drills",), "a list of drills")):
            path: Path = ("drills", index)
            keys = self.mapping(entry, path, _DRILL_KEYS, "a mapping with datacenter and until")
            if not isinstance(entry, dict):
                continue
            datacenter = self.name(self.needed(keys, path, "datacenter"), (*path, "datacenter"))
            start = self.time(keys["start"], (*path, "start")) if "start" in keys else None
            until = self.time(self.needed(keys, path, "until"), (*path, "until"))
            if start is not None and until is not None and until <= start:
                self.wrong((*path, "until"), f"found an end that is not after the start, {format_time(start)}")
            apps = self._covered(keys["apps"], (*path, "apps")) if "apps" in keys else None
            drills.append(Drill(datacenter, until or 0, start, apps, read_reason(self, keys, (*path, "reason"))))
        return tuple(drills)

    def _workers(self, tree: Tree) -> tuple[WorkerRule, ...]:
        rules = []
        first: dict[str, int] = {}
        entries = self.items(tree, ("workers",), 'a list such as [{match: "10.1.0.7:*", available: false}]')
        if len(entries) > MAX_RULES:
            self.wrong(("workers",), f"found {len(entries):,} entries, expected at most {MAX_RULES:,}: use networks")
            entries = entries[:MAX_RULES]
        for index, entry in enumerate(entries):
            self.checkpoint()
            path: Path = ("workers", index)
            keys = self.mapping(entry, path, _WORKER_KEYS, "a mapping with match and available")
            if not isinstance(entry, dict):
                continue
            match = self.needed(keys, path, "match")
            here = (*path, "match")
            rule = self._rule(match, here) if match is not None else None
            if rule is not None and first.setdefault(rule.match, index) != index:
                self.wrong(here, f"found {shown(rule.match)} again, expected each worker or pattern once")
            available = self.choice(keys, path, "available", {"true": True, "false": False}, default=True)
            reason = read_reason(self, keys, (*path, "reason"))
            if rule is not None:
                rules.append(replace(rule, available=available, reason=reason))
        return tuple(rules)

    def _rule(self, match: Tree, path: Path) -> WorkerRule | None:
        """Return a rule without its settings, or None for a match that is none."""
        wrong = f"found {shown(match)}, expected an address, a network, or a pattern with one * at its begin or end"
        if not isinstance(match, str) or not _MATCH.fullmatch(match) or match == "*" or len(match) > MAX_MATCH:
            self.wrong(path, f"{wrong}, such as 10.1.0.7:27777, 10.1.0.0/28 or 10.1.0.7:*")
            return None
        if "/" not in match:
            return WorkerRule(match)
        found = read_cidr(match)
        if found is None:
            self.wrong(path, f"{wrong}: a network such as 10.1.0.0/28 or fd00:1::/64")
            return None
        if isinstance(found, Mapped):
            self.wrong(path, f"found {shown(match)}, IPv4 addresses written as IPv6: write {found.cidr}")
            return None
        network, beyond = found
        if beyond:
            self.wrong(path, f"found {shown(match)}, which has bits beyond its prefix: did you mean {network}?")
            return None
        return WorkerRule(match, network=network)

    def _covered(self, tree: Tree, path: Path) -> frozenset[str]:
        names: set[str] = set()
        items = self.items(tree, path, "a list of applications")
        for index, item in enumerate(items):
            name = self.free_name(item, (*path, index), "an application")
            if name in names:
                self.wrong((*path, index), f"found {shown(name)} a second time, expected each application once")
            names.add(name)
        if tree == []:
            self.wrong(path, "found an empty list, expected applications: leave `apps` out for all of them")
        return frozenset(names)


def _values(kind: type[E]) -> Mapping[str, E]:
    return {str(choice.value): choice for choice in kind}
