"""Rewrites a text to other values by changing only the places that differ."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from sidecar.editing.yaml_nodes import CollectionNode, ListNode, MappingNode, Node, ScalarNode, nodes_of
from sidecar.editing.yaml_writer import (
    YamlStyle,
    style_of,
    write_block,
    write_flow,
    write_key,
    write_scalar,
    write_value,
)
from sidecar.errors import ChangeRefused
from sidecar.routing.document import MAX_BYTES
from sidecar.routing.parsed_text import ParsedText, parse_text
from sidecar.yaml_reader import Tree

_BLANKS = " \t\r\n"
_BOM = "\ufeff"
# What may follow an entry on its line.
_REST = re.compile(r"[ \t]*(,?)[ \t]*(?:#[^\n]*?)?(?=\r?\n|\Z)")


def rewrite(parsed: ParsedText, tree: Tree, *, max_bytes: int = MAX_BYTES) -> ParsedText:
    """Return a text with the values of `tree`; equal values stay as they are written.

    Comments, order, quotes, indentation and line breaks stay. New entries are written in the style of their neighbours;
    a comment goes only with the line that it stands on. The result is parsed again; whether it is a valid
    document is for the caller to check. Raises ChangeRefused where it would not be exactly `tree`, in its order.
    """
    top = _top_of(parsed)
    if top is not None:
        bom = _BOM if parsed.text.startswith(_BOM.encode()) else ""
        text = (bom + _Rewriting(parsed, top).result(tree)).encode()
        result = parsed if text == parsed.text else parse_text(text, max_bytes=max_bytes)
        if json.dumps(result.tree) == json.dumps(tree) or len(text) > max_bytes:
            return result
    raise ChangeRefused(
        "the formatting of this document does not allow changing one part without rewriting the rest: change it by "
        "hand with `dc-sidecar edit`"
    )


def _top_of(parsed: ParsedText) -> Node | None:
    """Return the outermost part of a text, None where its places are not known."""
    if parsed.record.events or not isinstance(parsed.tree, str):
        return nodes_of(parsed.decoded, parsed.record.events)
    start = parsed.decoded.index(parsed.tree)
    return ScalarNode(start, start + len(parsed.tree), parsed.tree, "")


class _Rewriting:
    """Compares the parts of one text with new values, and collects the edits."""

    def __init__(self, parsed: ParsedText, top: Node) -> None:
        self._text = parsed.decoded
        self._top = top
        self._style: YamlStyle = style_of(self._text, is_json=parsed.is_json)
        self._edits: list[tuple[int, int, str]] = []

    def result(self, tree: Tree) -> str:
        top = self._top
        if isinstance(tree, dict) and not isinstance(top, MappingNode):
            self._edits.append((top.start, top.end, write_block(tree, self._column(top.start), self._style)))
        elif not self._change(top, tree):
            self._edits.append((top.start, self._end(top), write_flow(tree, self._style)))
        parts = []
        done = 0
        for start, end, text in sorted(self._edits, key=lambda edit: edit[:2]):
            parts += [self._text[done:start], text]
            done = end
        return "".join((*parts, self._text[done:]))

    def _change(self, node: Node, tree: Tree) -> bool:
        """Edit a node to hold `tree`; False where that takes another kind of node."""
        match node, tree:
            case ScalarNode(), str():
                if node.value != tree:
                    self._edits.append((node.start, node.end, self._scalar(node, tree)))
            case (MappingNode(values=[]), dict()) | (ListNode(values=[]), list()) if not tree:
                pass
            case MappingNode(values=[_, *_]), dict() if tree:
                self._change_mapping(node, tree)
            case ListNode(values=[_, *_]), list() if tree:
                self._change_list(node, tree)
            case _:
                return False
        return True

    def _scalar(self, node: ScalarNode, text: str) -> str:
        # A block scalar (| or >) becomes a quoted one; an empty value starts right behind its colon.
        quotes = node.style if node.style in {"'", '"'} else ""
        blank = " " if node.start == node.end else ""
        tail = self._style.newline if self._text[node.start : node.end].endswith("\n") else ""
        return blank + write_scalar(text, self._style, quotes) + tail

    def _change_mapping(self, node: MappingNode, tree: dict[str, Tree]) -> None:
        names = list(tree)
        column = self._column(node.starts[0])

        def write(first: int, last: int) -> list[str]:
            new = {name: tree[name] for name in names[first:last]}
            if node.flow:
                return [f"{write_key(name, self._style)}: {write_flow(new[name], self._style)}" for name in new]
            return [write_block({name: value}, column, self._style) for name, value in new.items()]

        for kind, first, last, to, until in _differences([key.value for key in node.keys], names):
            if kind != "equal":
                self._exchange(node, first, last, write(to, until))
                continue
            for index, name in enumerate(names[to:until], first):
                value = node.values[index]
                if self._change(value, tree[name]):
                    continue
                if node.flow:
                    self._edits.append((value.start, value.end, write_flow(tree[name], self._style)))
                else:
                    # Between the key and the old value there is a colon, and maybe a comment and a new line.
                    text = ":" + write_value(name, tree[name], column, self._style)
                    self._edits.append((node.keys[index].end, self._end(value), text))

    def _change_list(self, node: ListNode, tree: list[Tree]) -> None:
        column = self._column(node.starts[0])

        def write(first: int, last: int) -> list[str]:
            inner = column + 2
            texts = []
            for item in tree[first:last]:
                blocks = not node.flow and isinstance(node.values[-1], MappingNode) and not node.values[-1].flow
                if blocks and isinstance(item, dict) and item:
                    texts.append(write_block(item, inner, self._style))
                else:
                    texts.append(write_flow(item, self._style))
            return texts if node.flow else [f"- {text}" for text in texts]

        old = [json.dumps(_plain(value)) for value in node.values]
        for kind, first, last, to, until in _differences(old, [json.dumps(item) for item in tree]):
            if kind != "equal":
                self._exchange(node, first, last, write(to, until))

    def _exchange(self, node: CollectionNode, first: int, last: int, new: Sequence[str]) -> None:
        """Replace the entries [first, last) of a collection that has entries by new ones; either may be empty."""
        if first == last:
            (self._insert_flow if node.flow else self._insert_block)(node, first, new)
        elif new:
            between = self._between(node)
            self._edits.append((node.starts[first], self._end(node.values[last - 1]), between.join(new)))
        else:
            self._remove(node, first, last)

    def _between(self, node: CollectionNode) -> str:
        """Return the separator of a collection's entries."""
        if not node.flow:
            return self._style.newline + " " * self._column(node.starts[0])
        if "\n" in self._text[node.start : node.starts[0]]:
            return "," + self._style.newline + " " * self._column(node.starts[0])
        return ", "

    def _insert_block(self, node: CollectionNode, index: int, new: Sequence[str]) -> None:
        between = self._between(node)
        if index == 0:
            self._edits.append((node.starts[0],) * 2 + ("".join(text + between for text in new),))
            return
        end = self._line_end(self._end(node.values[index - 1]))
        self._edits.append((end, end, "".join(between + text for text in new)))

    def _insert_flow(self, node: CollectionNode, index: int, new: Sequence[str]) -> None:
        between = self._between(node)
        if index == 0:
            self._edits.append((node.starts[0],) * 2 + ("".join(text + between for text in new),))
            return
        end = node.values[index - 1].end
        rest = _REST.match(self._text, end) if between != ", " else None
        if rest is None:
            self._edits.append((end, end, "".join(between + text for text in new)))
        elif rest[1]:
            self._edits.append((rest.end(), rest.end(), "".join(f"{between[1:]}{text}," for text in new)))
        else:
            self._edits.append((end, end, ","))
            self._edits.append((rest.end(), rest.end(), between[1:] + between.join(new)))

    def _remove(self, node: CollectionNode, first: int, last: int) -> None:
        """Remove some, not all, entries; with their lines where nothing else is on them."""
        start, end = node.starts[first], self._end(node.values[last - 1])
        line = self._text.rfind("\n", 0, start) + 1
        rest = _REST.match(self._text, end)
        # In brackets the last entry has no comma: the one before it must go too, as JSON requires.
        alone = not self._text[line:start].strip(_BLANKS) and rest is not None
        if alone and rest is not None and (not node.flow or rest[1]):
            after = self._text.find("\n", rest.end())
            if after >= 0:
                self._edits.append((line, after + 1, ""))
            else:
                # The last line has no break: remove the one before it instead.
                self._edits.append((len(self._text[:line].rstrip("\r\n")), rest.end(), ""))
        elif last < len(node.values):
            self._edits.append((start, node.starts[last], ""))
        else:
            self._edits.append((node.values[first - 1].end, end, ""))

    def _column(self, position: int) -> int:
        return position - self._text.rfind("\n", 0, position) - 1

    def _end(self, node: Node) -> int:
        """Return where a node ends, without the line break that ends a block scalar."""
        return len(self._text[: node.end].rstrip("\r\n")) if self._text[: node.end].endswith("\n") else node.end

    def _line_end(self, position: int) -> int:
        end = self._text.find("\n", position)
        if end < 0:
            return len(self._text)
        return end - 1 if self._text[end - 1] == "\r" else end


def _plain(node: Node) -> Tree:
    match node:
        case ScalarNode():
            return node.value
        case MappingNode():
            return {key.value: _plain(value) for key, value in zip(node.keys, node.values, strict=True)}
        case ListNode():
            return [_plain(value) for value in node.values]


def _differences(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if list(old) == list(new):
        return [("equal", 0, len(old), 0, len(new))]
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
