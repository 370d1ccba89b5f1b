"""Reads YAML 1.2 and JSON into plain values, each scalar as its source text, and locates entries in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from json import scanner
from typing import Any

import yaml

from sidecar.errors import DocumentRejected, Problem
from sidecar.footprint import NODE, UNLIMITED, Footprint

MAX_DEPTH = 16
# Bounds the memory that a hostile text can take; nobody reads a longer report.
MAX_PROBLEMS = 1000

# A mapping, a list, a scalar's text, or None in place of an entry that is already reported as a problem.
Tree = dict[str, "Tree"] | list["Tree"] | str | None
Path = tuple[str | int, ...]
Checkpoint = Callable[[], None]
# libyaml and json are untyped.
_Foreign = Any

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_python_scanner: Any = scanner.py_make_scanner  # type: ignore[attr-defined]
_JSON_WORDS = {True: "true", False: "false", None: "null"}
_BATCH = 32
_MAX_STEP = 256
# libyaml compares each %TAG directive with all earlier ones: quadratic, seconds for a text full of them.
_TAG_DIRECTIVE = re.compile(r"(?:\A|[\n\r\x85\u2028\u2029])%TAG")


@dataclass(frozen=True, slots=True)
class Position:
    """An entry's (line, column), both from 1: of its key (in a list, of the entry itself) and of its value."""

    key: tuple[int, int]
    value: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ParseRecord:
    """The finds of one pass of the YAML parser beside the values: its events, and where each entry stands."""

    events: list[Any] = field(default_factory=list)
    places: dict[Path, Position] = field(default_factory=dict)


def show(path: Path) -> str:
    """Return a path in one line, as errors name it: `apps.billing.backups[1]`. Empty keys are omitted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step:
            name = step if len(step) <= _MAX_STEP else step[:_MAX_STEP] + "…"
            name = name if name.isprintable() else ascii(name)[1:-1]
            text += f".{name}" if text else name
    return text


def read(
    text: str, checkpoint: Checkpoint, record: ParseRecord | None = None, footprint: Footprint | None = None
) -> Tree:
    """Parse a text into plain values. `checkpoint` is called every few entries, to let other threads run.

    A `record` is filled in the same pass; for JSON, which the YAML parser does not see, it stays empty (see `trace`).

    Raises DocumentRejected, naming each place, for invalid YAML, duplicate keys, aliases, merge keys, tags, keys that
    are not scalars, more than one document, nesting deeper than MAX_DEPTH, and the first entry that does not fit into
    the `footprint`, to which each is added.
    """
    footprint = footprint or Footprint(UNLIMITED)
    before = footprint.needed
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _read_json(text, checkpoint, footprint)
        except (ValueError, RecursionError):
            # It may still be YAML in flow style; if not, or if it is too large, the YAML parser names the place.
            footprint.needed = before
    reader = _YamlReader(text, checkpoint)
    reader.footprint = footprint
    if record is not None:
        reader.places = record.places
        reader.events = record.events
    tree = reader.read()
    if reader.problems:
        raise DocumentRejected(tuple(reader.problems))
    return tree


def places(
    text: str, *, wanted: Collection[Path] | None = None, checkpoint: Checkpoint = lambda: None
) -> dict[Path, Position]:
    """Return the position of each entry, or of the `wanted` ones; for invalid YAML, of those before the error."""
    reader = _YamlReader(text, checkpoint)
    reader.places = {}
    reader.wanted = wanted
    with suppress(DocumentRejected):
        reader.read()
    return reader.places


def trace(text: str) -> ParseRecord:
    """Return the record of a text, JSON included; of one that the YAML parser cannot read to its end, up to there."""
    record = ParseRecord()
    reader = _YamlReader(text, lambda: None)
    reader.places = record.places
    reader.events = record.events
    with suppress(DocumentRejected):
        reader.read()
    return record


def _read_json(text: str, checkpoint: Checkpoint, footprint: Footprint) -> Tree:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Tree]:
        _fit(footprint, len(items))
        mapping = {key: _plain(value, checkpoint, footprint) for key, value in items}
        if len(mapping) != len(items):
            raise ValueError("a duplicate key")
        return mapping

    return _plain(_JsonDecoder(pairs, checkpoint).decode(text), checkpoint, footprint)


class _JsonDecoder(json.JSONDecoder):
    """Decodes in Python: the scanner in C would keep all other threads waiting, 50 ms for a text of 1 MiB."""

    def __init__(self, pairs: Callable[[list[tuple[str, Any]]], object], checkpoint: Checkpoint) -> None:
        super().__init__(object_pairs_hook=pairs, parse_int=str, parse_float=str, parse_constant=_no_constant)
        scan_string = self.parse_string

        def parse_string(*arguments: _Foreign) -> _Foreign:
            checkpoint()
            return scan_string(*arguments)

        self.parse_string: _Foreign = parse_string
        self.scan_once: _Foreign = _python_scanner(self)


def _plain(value: _Foreign, checkpoint: Checkpoint, footprint: Footprint) -> Tree:
    checkpoint()
    if isinstance(value, list):
        _fit(footprint, len(value))
        return [_plain(item, checkpoint, footprint) for item in value]
    return value if isinstance(value, str | dict) else _JSON_WORDS[value]


def _fit(footprint: Footprint, entries: int) -> None:
    if not footprint.add((1 + entries) * NODE):
        raise ValueError("too many entries")


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


class _EnoughError(Exception):
    """Ends the parsing of a text that nests too deeply or has too many problems."""


class _YamlReader:
    """Walks the parser's events once; collects problems, and positions and events if it is given room for them."""

    def __init__(self, text: str, checkpoint: Checkpoint) -> None:
        self._text = text
        self._checkpoint = checkpoint
        self.problems: list[Problem] = []
        self.places: dict[Path, Position] | None = None
        self.wanted: Collection[Path] | None = None
        self.events: list[_Foreign] | None = None
        self.footprint: Footprint | None = None

    def read(self) -> Tree:
        # The substring test keeps the regular expression off almost every text.
        directive = _TAG_DIRECTIVE.search(self._text) if "%TAG" in self._text else None
        if directive is not None:
            line = len(self._text[: directive.end()].splitlines())
            raise DocumentRejected((Problem("", "found a %TAG directive: remove it, tags are not allowed", line, 1),))
        loader = _Loader(self._text)
        try:
            events = self._events(loader)
            return self._document(events if self.events is None else _recorded(events, self.events))
        except yaml.YAMLError as error:
            raise DocumentRejected((*self.problems, _syntax_problem(error, self._text))) from error
        except _EnoughError:
            raise DocumentRejected(tuple(self.problems)) from None
        finally:
            loader.dispose()

    def _events(self, loader: _Foreign) -> Iterator[_Foreign]:
        while loader.check_event():
            yield from islice(iter(loader.get_event, None), _BATCH)
            self._checkpoint()

    def _document(self, events: Iterator[_Foreign]) -> Tree:
        tree: Tree = ""
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._report((), "found a second YAML document (after ---), expected one", event.start_mark)
                    break
                root = next(events)
                self._place((), root, root)
                tree = self._node(root, events, ())
        return tree

    def _node(self, event: _Foreign, events: Iterator[_Foreign], path: Path) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            self._report(
                path,
                f"found the alias *{show((str(event.anchor),))}: write the value out, aliases are not allowed",
                event.start_mark,
            )
            return None
        if event.tag is not None:
            self._report_tag(path, event)
        if isinstance(event, yaml.ScalarEvent):
            value: str = event.value
            return value
        if len(path) >= MAX_DEPTH:
            self._report(path, f"found nesting deeper than {MAX_DEPTH} levels, expected less", event.start_mark)
            raise _EnoughError
        self._fit(path, event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _sequence(self, events: Iterator[_Foreign], path: Path) -> Tree:
        items: list[Tree] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self._place(here, event, event)
            self._fit(here, event)
            items.append(self._node(event, events, here))
        return items

    def _mapping(self, events: Iterator[_Foreign], path: Path) -> Tree:
        entries: dict[str, Tree] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, events, path)
            here = (*path, key)
            if key in entries:
                self._report(here, "found a second time, expected once: remove one of the two", event.start_mark)
            value = next(events)
            self._place(here, event, value)
            self._fit(here, event)
            entries[key] = self._node(value, events, here)
        return entries

    def _key(self, event: _Foreign, events: Iterator[_Foreign], path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if not isinstance(event, yaml.AliasEvent):
                self._report(path, "found a list or mapping as a key, expected a text", event.start_mark)
            self._node(event, events, (*path, "?"))
            return "?"
        key: str = event.value
        if key == "<<" and not event.style:
            self._report(
                (*path, key), "found a merge key: write the keys out, merging is not allowed", event.start_mark
            )
        elif event.tag is not None:
            self._report_tag((*path, key), event)
        return key

    def _place(self, path: Path, key: _Foreign, value: _Foreign) -> None:
        if self.places is not None and (self.wanted is None or path in self.wanted):
            self.places.setdefault(path, Position(_at(key.start_mark), _at(value.start_mark)))

    def _fit(self, path: Path, event: _Foreign) -> None:
        if self.footprint is not None and not self.footprint.add(NODE):
            self._report(path, self.footprint.excess(), event.start_mark)
            raise _EnoughError

    def _report_tag(self, path: Path, event: _Foreign) -> None:
        self._report(path, f"found the tag {show((event.tag,))}: remove it, tags are not allowed", event.start_mark)

    def _report(self, path: Path, message: str, mark: _Foreign) -> None:
        line, column = _at(mark)
        self.problems.append(Problem(show(path), message, line, column))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _EnoughError


def _recorded(events: Iterator[_Foreign], record: list[_Foreign]) -> Iterator[_Foreign]:
    for event in events:
        record.append(event)
        yield event


def _at(mark: _Foreign) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    """Return a parser error as one problem with its place and a hint."""
    if isinstance(error, yaml.MarkedYAMLError):
        what = ", ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        line, column = _at(mark) if mark else (1, 1)
    else:
        # A character that YAML does not allow; libyaml gives its offset in bytes.
        what = getattr(error, "reason", "") or str(error)
        before = text.encode()[: getattr(error, "position", 0)].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    hint = "look at this line and the one above: indentation, colons, quotes, brackets"
    if "\t" in "".join(text.split("\n")[line - 1 : line]):
        hint = "it has a tab: indent with blanks"
    return Problem("", f"this is no YAML ({what}): {hint}", line, column)
