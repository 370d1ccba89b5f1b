"""Reads YAML 1.2 or JSON into plain values, every scalar as the text it is written as, and finds places in the text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml

from sidecar.errors import DocumentRefused, Problem

MAX_DEPTH = 16

# A mapping, a list, a scalar's text, or None where something was found that is reported already.
Tree = dict[str, "Tree"] | list["Tree"] | str | None
Path = tuple[str | int, ...]
Breathe = Callable[[], None]
# What comes from libyaml and from json has no types.
_Foreign = Any

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_JSON_WORDS = {True: "true", False: "false", None: "null"}
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the text, (line, column) from 1: its key (in a list, the entry itself) and its value."""

    key: tuple[int, int]
    value: tuple[int, int]


def show(path: Path) -> str:
    """Return a path as errors name it: `apps.billing.backups[1]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read(text: str, breathe: Breathe) -> Tree:
    """Return what the text holds. `breathe` is called often, so that other threads get their turn.

    Raises DocumentRefused, with the place, for what is no YAML, and for duplicate keys, aliases, merge keys, tags, keys
    that are no scalars, several documents, and nesting deeper than MAX_DEPTH.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _read_json(text, breathe)
        except (ValueError, RecursionError):
            pass  # It may still be YAML in flow style; if not, YAML's reader says where it breaks.
    reader = _YamlReader(text, breathe)
    tree = reader.read()
    if reader.problems:
        raise DocumentRefused(tuple(reader.problems))
    return tree


def places(text: str) -> dict[Path, Place]:
    """Return where each entry of a text stands; of a text that breaks off, up to there."""
    reader = _YamlReader(text, lambda: None)
    reader.places = {}
    with suppress(DocumentRefused):
        reader.read()
    return reader.places


def _read_json(text: str, breathe: Breathe) -> Tree:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Tree]:
        breathe()
        mapping = {key: _plain(value) for key, value in items}
        if len(mapping) != len(items):
            raise ValueError("a duplicate key")
        return mapping

    tree = json.loads(text, object_pairs_hook=pairs, parse_int=str, parse_float=str, parse_constant=_no_constant)
    return _plain(tree)


def _plain(value: _Foreign) -> Tree:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | dict) else _JSON_WORDS[value]


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


class _TooDeepError(Exception):
    """Ends the reading of a text that nests too deep."""


class _YamlReader:
    """Walks the parser's events once; collects what is not allowed, and places where `places` is a dictionary."""

    def __init__(self, text: str, breathe: Breathe) -> None:
        self._text = text
        self._breathe = breathe
        self.problems: list[Problem] = []
        self.places: dict[Path, Place] | None = None

    def read(self) -> Tree:
        loader = _Loader(self._text)
        try:
            return self._document(self._events(loader))
        except yaml.YAMLError as error:
            raise DocumentRefused((*self.problems, _syntax_problem(error, self._text))) from error
        except _TooDeepError:
            raise DocumentRefused(tuple(self.problems)) from None
        finally:
            loader.dispose()

    def _events(self, loader: _Foreign) -> Iterator[_Foreign]:
        while loader.check_event():
            yield from islice(iter(loader.get_event, None), _BATCH)
            self._breathe()

    def _document(self, events: Iterator[_Foreign]) -> Tree:
        tree: Tree = ""
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._report((), "found a second YAML document (after ---), expected one", event.start_mark)
                    break
                tree = self._node(next(events), events, ())
        return tree

    def _node(self, event: _Foreign, events: Iterator[_Foreign], path: Path) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            self._report(
                path, f"found the alias *{event.anchor}: write the value out, aliases are not allowed", event.start_mark
            )
            return None
        if event.tag is not None:
            self._report(path, f"found the tag {event.tag}: remove it, tags are not allowed", event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            value: str = event.value
            return value
        if len(path) >= MAX_DEPTH:
            self._report(path, f"nesting is deeper than {MAX_DEPTH} levels", event.start_mark)
            raise _TooDeepError
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _sequence(self, events: Iterator[_Foreign], path: Path) -> Tree:
        items: list[Tree] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            here = (*path, len(items))
            self._place(here, event, event)
            items.append(self._node(event, events, here))
        return items

    def _mapping(self, events: Iterator[_Foreign], path: Path) -> Tree:
        entries: dict[str, Tree] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, path)
            here = (*path, key)
            if key in entries:
                self._report(here, "found a second time, expected once: remove one of the two", event.start_mark)
            value = next(events)
            self._place(here, event, value)
            entries[key] = self._node(value, events, here)
        return entries

    def _key(self, event: _Foreign, events: Iterator[_Foreign], path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._report(path, "found a key that is no plain text", event.start_mark)
            self._node(event, events, (*path, "?"))
            return "?"
        key: str = event.value
        if key == "<<" and not event.style:
            self._report((*path, key), "merge keys are not allowed: write the keys out", event.start_mark)
        elif event.tag is not None:
            self._report((*path, key), f"found the tag {event.tag}: remove it, tags are not allowed", event.start_mark)
        return key

    def _place(self, path: Path, key: _Foreign, value: _Foreign) -> None:
        if self.places is not None:
            self.places.setdefault(path, Place(_at(key.start_mark), _at(value.start_mark)))

    def _report(self, path: Path, message: str, mark: _Foreign) -> None:
        line, column = _at(mark)
        self.problems.append(Problem(show(path), message, line, column))


def _at(mark: _Foreign) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    """Say in a line what is wrong with a text that is no YAML."""
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        line, column = _at(mark)
    else:
        before = text[: getattr(error, "position", None) or 0]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    hint = "; indent with blanks" if text.split("\n")[line - 1 : line] and "\t" in text.split("\n")[line - 1] else ""
    return Problem("", f"no YAML: {context + ', ' if context else ''}{what}{hint}", line, column)
