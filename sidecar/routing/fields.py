"""Takes single values out of a tree, and collects the problems, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from difflib import get_close_matches
from itertools import islice
from typing import TypeVar

from sidecar.errors import DocumentRejected, Problem
from sidecar.footprint import Footprint
from sidecar.routing.location import NAME
from sidecar.routing.model import Datacenter
from sidecar.routing.scalars import parse_duration, parse_integer, parse_time
from sidecar.yaml_reader import MAX_PROBLEMS, Checkpoint, Path, Tree, places, show

MAX_DATACENTERS = 1000
"""Bound of the datacenters of a split, of backups and of a document: a decision may look at each of a route."""

_MAX_NAME = 256
# No control characters, and no halves of characters, which JSON's escapes can write and UTF-8 cannot.
TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{_MAX_NAME}}}")
_A_TIME = "a day and time that exist, with an offset, such as 2026-11-22T10:00:00Z or 2026-11-22T18:00:00+08:00"
A_NAME = "a datacenter name: 1 to 63 of A-Z a-z 0-9 . _ -, the first a letter or digit"
_REMEDY = "allowed: name larger groups of workers as one"

# Finding the nearest name takes milliseconds; a thousand hints help no more than the first.
_HINTS = 20
_KNOWN = 100

C = TypeVar("C")


class FieldReader:
    """Reads the values that all parts of a document share; each method returns a usable value, also for a wrong one.

    A tree of None is a missing key that is reported already; `name`, `time` and `duration` ignore it.
    """

    def __init__(self, text: bytes, checkpoint: Checkpoint, footprint: Footprint) -> None:
        self.text = text
        self.checkpoint = checkpoint
        self._footprint = footprint
        self._hints = _HINTS
        # Path, message, and whether the key is to blame rather than its value.
        self._wrong: list[tuple[Path, str, bool]] = []
        # The entries of the `datacenters` block, if there is one; set before the names of other blocks are read.
        self.datacenters: Mapping[str, Datacenter] | None = None
        # Those named so far, where there is no such block.
        self._named: set[str] = set()
        self._too_many = False

    def charge(self, count: int, path: Path) -> None:
        """Add so many bytes to the document's footprint. Raises DocumentRejected where it does not fit."""
        self.checkpoint()
        if not self._footprint.add(count):
            self.wrong(path, self._footprint.excess(), key=True)
            self.refuse_if_wrong()

    def mapping(self, tree: Tree, path: Path, known: tuple[str, ...], expected: str) -> Mapping[str, Tree]:
        """Return the entries of a mapping; where any keys are `known`, there may be no others."""
        if not isinstance(tree, dict):
            self.wrong(path, f"found {shown(tree)}, expected {expected}")
            return {}
        for key in tree if known else ():
            if key not in known:
                self._unknown_key(key, path, known)
        return tree

    def _unknown_key(self, key: str, path: Path, known: tuple[str, ...]) -> None:
        if key == "jobs":
            message = "jobs are not allowed here: only an application has jobs, a job and the default have none"
        else:
            found = "an empty key" if not key else f"the unknown key {shown(key)}"
            message = f"found {found}{self._nearest(key, known) or ', known here are ' + ', '.join(known)}"
        self.wrong((*path, key), message, key=True)

    def items(self, tree: Tree, path: Path, expected: str) -> list[Tree]:
        """Return the items of a list."""
        if isinstance(tree, list):
            return tree
        self.wrong(path, f"found {shown(tree)}, expected {expected}")
        return []

    def names(self, tree: Tree, path: Path, *, used: bool = True) -> list[str]:
        """Return the datacenter names of a list, each once."""
        names: dict[str, None] = {}
        if isinstance(tree, list):
            self.bound_datacenters(tree, path)
        for index, item in enumerate(self.items(tree, path, "a list of datacenters such as [dc2, dc3]")):
            name = self.name(item, (*path, index), used=used)
            if name in names:
                self.wrong((*path, index), f"found {name} a second time, expected each datacenter once")
            names[name] = None
        return list(names)

    def name(self, tree: Tree, path: Path, *, used: bool = True, key: bool = False) -> str:
        """Return a datacenter's name; unless it is not `used`, the `datacenters` block must have it."""
        self.checkpoint()
        if tree is None:
            return ""
        if not isinstance(tree, str) or not NAME.fullmatch(tree):
            self.wrong(path, f"found {shown(tree)}, expected {A_NAME}", key=key)
            return ""
        if used and self.datacenters is not None and tree not in self.datacenters:
            # Those that are none are reported in their own place, and must not be shown as they are.
            known = tuple(islice(filter(NAME.fullmatch, self.datacenters), _KNOWN))
            hint = self._nearest(tree, known) or f"; it has {', '.join(known[:10]) or 'none'}"
            self.wrong(path, f"found {tree}, which the datacenters block does not have{hint}")
        if used and self.datacenters is None and tree not in self._named:
            if len(self._named) == MAX_DATACENTERS and not self._too_many:
                self._too_many = True
                self.wrong(path, f"found one more datacenter than the {MAX_DATACENTERS:,} {_REMEDY}", key=key)
            self._named.add(tree)
        return tree

    def bound_datacenters(self, entries: Sized, path: Path) -> None:
        """Report entries that are too many datacenters."""
        if len(entries) > MAX_DATACENTERS:
            self._too_many = True
            self.wrong(path, f"found {len(entries):,} datacenters, more than the {MAX_DATACENTERS:,} {_REMEDY}")

    def free_name(self, tree: Tree, path: Path, what: str, *, key: bool = False) -> str:
        """Return the name of an application or a job."""
        self.checkpoint()
        if not isinstance(tree, str) or not TEXT.fullmatch(tree):
            expected = f"1 to {_MAX_NAME} characters, no control characters"
            self.wrong(path, f"found {shown(tree)} as the name of {what}, expected {expected}", key=key)
            return ""
        return tree

    def needed(self, keys: Mapping[str, Tree], path: Path, key: str) -> Tree:
        """Return the value of a key that must be there."""
        if key not in keys:
            entry = path[-1] if isinstance(path[-1], str) else "a drill" if path[0] == "drills" else "an entry"
            self.wrong((*path, key), f"missing: {entry} needs `{key}`")
        return keys.get(key)

    def integer(self, keys: Mapping[str, Tree], path: Path, key: str, low: int, high: int, default: int) -> int:
        """Return the whole number under a key, or its default."""
        if key not in keys:
            return default
        tree = keys[key]
        number = parse_integer(tree) if isinstance(tree, str) else None
        if number is None or not low <= number <= high:
            self.wrong((*path, key), f"found {shown(tree)}, expected a whole number from {low} to {high}")
            return default
        return number

    def choice(self, keys: Mapping[str, Tree], path: Path, key: str, choices: Mapping[str, C], *, default: C) -> C:
        """Return the value that the word under a key stands for, or its default."""
        if key not in keys:
            return default
        tree = keys[key]
        if not isinstance(tree, str) or tree not in choices:
            self.wrong((*path, key), f"found {shown(tree)}, expected {' or '.join(choices)}")
            return default
        return choices[tree]

    def time(self, tree: Tree, path: Path) -> int | None:
        """Return a time as Unix nanoseconds."""
        if tree is None:
            return None
        moment = parse_time(tree) if isinstance(tree, str) else None
        if moment is None:
            self.wrong(path, f"found {shown(tree)}, expected {_A_TIME}")
        return moment

    def duration(self, tree: Tree, path: Path) -> int | None:
        """Return a duration over 0 in nanoseconds."""
        if tree is None:
            return None
        duration = parse_duration(tree) if isinstance(tree, str) else None
        if not duration:
            self.wrong(path, f"found {shown(tree)}, expected a duration over 0 such as 90s, 2h or 1h30m")
        return duration

    def _nearest(self, word: str, known: tuple[str, ...]) -> str:
        self._hints -= 1
        worth_it = self._hints >= 0 and len(word) < 2 * _MAX_NAME
        close = get_close_matches(word, known, n=1) if worth_it else ()
        return f": did you mean `{close[0]}`?" if close else ""

    def wrong(self, path: Path, message: str, *, key: bool = False) -> None:
        """Collect a problem; its place is the value's, or the `key`'s. Raises DocumentRejected beyond the maximum."""
        self.checkpoint()
        self._wrong.append((path, message, key))
        if len(self._wrong) >= MAX_PROBLEMS:
            self.refuse_if_wrong()

    def refuse_if_wrong(self) -> None:
        """Raise DocumentRejected with all collected problems, in the text's order, if there are any."""
        if not self._wrong:
            return
        wanted = {path[:length] for path, _, _ in self._wrong for length in range(len(path) + 1)}
        where = places(self.text.decode().removeprefix("\ufeff"), wanted=wanted, checkpoint=self.checkpoint)
        problems = []
        for path, message, key in self._wrong:
            known = path
            while known and known not in where:
                known = known[:-1]
            place = where.get(known)
            line, column = (1, 1) if place is None else place.key if key or known != path else place.value
            problems.append(Problem(show(path), message, line, column))
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise DocumentRejected(tuple(problems))


def shown(tree: Tree) -> str:
    """Return a short text for a found value."""
    match tree:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case "" | None:
            return "nothing"
        case _:
            return ascii(tree) if len(tree) <= 60 else ascii(tree[:57]) + "…"
