"""The parts of a YAML or JSON text and their places, to the character: one can be replaced and the rest kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

# What comes from libyaml has no types.
_Foreign = Any


@dataclass(slots=True)
class ScalarNode:
    """A scalar at [start, end); `style` is "" for a plain one, its quote, or | or > for a block."""

    start: int
    end: int
    value: str
    style: str


@dataclass(slots=True)
class CollectionNode:
    """A mapping or list at [start, end): the brackets, or the first entry up to the end of the last.

    `flow` is set for brackets, not for indentation. `starts` are those of the entries: the key, the dash, or in
    brackets the value.
    """

    start: int
    end: int
    flow: bool
    values: list[Node] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class MappingNode(CollectionNode):
    """A mapping; `keys` and `values` in the same order, each key once."""

    keys: list[ScalarNode] = field(default_factory=list)


@dataclass(slots=True)
class ListNode(CollectionNode):
    """A list."""


Node = ScalarNode | MappingNode | ListNode


def nodes_of(text: str, events: Sequence[Any]) -> Node | None:
    """Return the parts of a text by the parser's events for it; None where these end before the text does."""
    if not events or not isinstance(events[-1], yaml.StreamEndEvent):
        return None
    remaining = iter(events)
    for event in remaining:
        if isinstance(event, yaml.DocumentStartEvent):
            return _node(next(remaining), remaining, text)
    return None


def _node(event: _Foreign, events: Iterator[_Foreign], text: str) -> Node:
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, yaml.ScalarEvent):
        return ScalarNode(start, end, event.value, event.style or "")
    if isinstance(event, yaml.MappingStartEvent):
        mapping = MappingNode(start, end, bool(event.flow_style))
        for key in events:
            if isinstance(key, yaml.MappingEndEvent):
                return _closed(mapping, key)
            name = _node(key, events, text)
            assert isinstance(name, ScalarNode)
            mapping.keys.append(name)
            mapping.starts.append(name.start)
            mapping.values.append(_node(next(events), events, text))
    items = ListNode(start, end, bool(event.flow_style))
    for item in events:
        if isinstance(item, yaml.SequenceEndEvent):
            break
        node = _node(item, events, text)
        items.values.append(node)
        items.starts.append(node.start if items.flow else text.rindex("-", 0, node.start))
    return _closed(items, item)


def _closed(node: MappingNode | ListNode, end: _Foreign) -> MappingNode | ListNode:
    # A block's end mark is where the next token begins, beyond comments: its last entry ends where it ends itself.
    node.end = end.end_mark.index if node.flow else node.values[-1].end
    return node
