"""Reads a command line that is being typed: which value comes next, and what was given before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.cli.completion.table import ARGUMENTS, FLAGS, GROUPS, OPTIONS, VALUED

COMPLETE_VARIABLE = "_DC_SIDECAR_COMPLETE"
# What the shell's quoting means is for click.
_QUOTING = frozenset("\"'\\")


class Line(NamedTuple):
    """The value to complete: its `kind` (a name in `table`) and beginning, and the arguments and options before it."""

    kind: str
    incomplete: str
    arguments: tuple[str, ...]
    options: Mapping[str, list[str]]


def read_line(environ: Mapping[str, str]) -> Line | None:
    """Return the line that a shell asks about; None for one that click must read, which knows all of them."""
    shell = environ.get(COMPLETE_VARIABLE)
    words, typed = environ.get("COMP_WORDS", ""), environ.get("COMP_CWORD", "")
    if shell not in ("bash_complete", "zsh_complete", "fish_complete") or _QUOTING.intersection(words + typed):
        return None
    given = words.split()[1:]
    if shell == "fish_complete":
        before, incomplete = given[:-1] if typed and given[-1:] == [typed] else given, typed
    elif typed.isdecimal() and int(typed) > 0:
        place = int(typed) - 1
        before, incomplete = given[:place], "".join(given[place : place + 1])
    else:
        return None
    depth = 2 if before[:1] and before[0] in GROUPS else 1
    if len(before) < depth or incomplete.startswith("-"):
        return None
    return _line(" ".join(before[:depth]), before[depth:], incomplete)


def _line(command: str, words: list[str], incomplete: str) -> Line | None:
    arguments: list[str] = []
    options: dict[str, list[str]] = {}
    awaiting = ""
    for word in words:
        name, equals, value = word.partition("=")
        if awaiting:
            options.setdefault(awaiting, []).append(word)
            awaiting = ""
        elif not word.startswith("-") or word == "-":
            arguments.append(word)
        elif name in VALUED and equals:
            options.setdefault(name, []).append(value)
        elif word in VALUED:
            awaiting = word
        elif word in FLAGS:
            options.setdefault(word, [])
        else:
            return None
    kind = OPTIONS.get(f"{command} {awaiting}", "") if awaiting else _argument(command, len(arguments))
    return Line(kind, incomplete, tuple(arguments), options) if kind else None


def _argument(command: str, place: int) -> str:
    kinds = ARGUMENTS.get(command, "").split()
    for kind in kinds[: place + 1]:
        if kind.endswith("*"):
            return kind.removesuffix("*")
    return kinds[place].removesuffix("-") if place < len(kinds) else ""
