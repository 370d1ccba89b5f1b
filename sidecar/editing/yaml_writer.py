"""Writes values into YAML or JSON in the style of the text around them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from sidecar.yaml_reader import Tree

# Unquoted only where every YAML reader, 1.1 or 1.2, takes it for this text.
_PLAIN = re.compile(r"[^\W\d_](?:[\w ./+@-]*[\w./+@-])?")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null", "none", "nan", "inf"))
# Must be escaped within quotes: controls, Unicode's line breaks, the byte order mark, noncharacters.
_UNPRINTED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# Mappings that grow are written one entry per line.
_BLOCKS = frozenset({"apps", "jobs", "datacenters"})
_NESTED = re.compile(r"^( *)[^\s#][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]", re.MULTILINE)


class BareKey(str):
    """A number or boolean, which is written without quotes; equal to its text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class YamlStyle:
    """How a text is written: as JSON or YAML, the indentation of a level in blanks, and the line break."""

    json: bool
    step: int
    newline: str


def style_of(text: str, *, is_json: bool) -> YamlStyle:
    """Return how a text is written."""
    newline = "\r\n" if "\r\n" in text else "\n"
    found = _NESTED.search(text.replace("\r", ""))
    step = len(found[2]) - len(found[1]) if found else 0
    return YamlStyle(json=is_json, step=step if step > 0 else 2, newline=newline)


def write_scalar(text: str, style: YamlStyle, quotes: str = "") -> str:
    """Return a text as it is written, in `quotes` where that can say it."""
    if isinstance(text, BareKey) and not quotes:
        return text
    if style.json or quotes == '"':
        return _quoted(text)
    if quotes == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if _PLAIN.fullmatch(text) and text.isprintable() and text.lower() not in _WORDS:
        return text
    return _quoted(text)


def write_key(key: str, style: YamlStyle) -> str:
    """Return a key as it is written."""
    return write_scalar(str(key), style)


def write_flow(tree: Tree, style: YamlStyle) -> str:
    """Return a value on one line, collections in brackets."""
    if isinstance(tree, dict):
        entries = (f"{write_key(key, style)}: {write_flow(value, style)}" for key, value in tree.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(write_flow(item, style) for item in tree) + "]"
    return write_scalar(tree or "", style)


def write_block(tree: dict[str, Tree], column: int, style: YamlStyle) -> str:
    """Return a mapping that begins at a column, counted from 0: an entry a line, without brackets."""
    entries = (f"{write_key(key, style)}:{write_value(key, value, column, style)}" for key, value in tree.items())
    return _line(column, style).join(entries)


def write_value(key: str, value: Tree, column: int, style: YamlStyle) -> str:
    """Return the text behind the colon of a `key` at a column, in a mapping without brackets."""
    inner = column + style.step
    if isinstance(value, dict) and value and (key in _BLOCKS or _has_blocks(value)):
        return _line(inner, style) + write_block(value, inner, style)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "".join(f"{_line(inner, style)}- {write_flow(item, style)}" for item in value)
    return f" {write_flow(value, style)}"


def _line(column: int, style: YamlStyle) -> str:
    return style.newline + " " * column


def _has_blocks(tree: dict[str, Tree]) -> bool:
    return any(key in _BLOCKS or (isinstance(value, dict) and _has_blocks(value)) for key, value in tree.items())


def _quoted(text: str) -> str:
    return _UNPRINTED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(str(text), ensure_ascii=False))
