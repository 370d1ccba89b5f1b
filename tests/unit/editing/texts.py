"""Texts as people write them: the same values in brackets or by indentation, quoted or not, with comments between."""

from __future__ import annotations

import json
import random
import re

from hypothesis import strategies as st

from sidecar.yaml_reader import Tree

_PLAIN = re.compile(r"[^\W_][\w.]*(?: [\w.]+)*")

names = st.sampled_from(
    ["dc1", "dc2", "billing", "7", "no", "1e3", "a b", "ümlaut", "x.y", "0755", "it's", "a: b", "#c"]
)
trees: st.SearchStrategy[Tree] = st.recursive(
    names,
    lambda inner: st.dictionaries(names, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)
documents: st.SearchStrategy[Tree] = st.dictionaries(names, trees, min_size=1, max_size=5)


def write(tree: Tree, seed: int) -> str:
    """Return a mapping as YAML, every choice of style left to chance, or as JSON."""
    chance = random.Random(seed)
    newline = chance.choice(["\n", "\n", "\r\n"])
    if chance.randrange(6) == 0:
        text = json.dumps(tree, indent=chance.choice([None, 2, 4]), ensure_ascii=False)
        if text.replace("\n", "").isprintable():
            return text.replace("\n", newline)
    step = chance.randint(2, 4)

    def scalar(text: str) -> str:
        style = chance.choice("'\"p")
        if style == "'" and text.isprintable():
            return "'" + text.replace("'", "''") + "'"
        if style == "p" and _PLAIN.fullmatch(text):
            return text
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted) + '"'

    def comment() -> str:
        return chance.choice(["", "", "  # note", " "])

    def lines(indent: int) -> str:
        return chance.choice(["", "", "", "\n", " " * indent + "# on a line\n", "# at the left\n\n"])

    def flow(value: Tree, indent: int) -> str:
        if isinstance(value, str):
            return scalar(value)
        assert value is not None
        left, right = "{}" if isinstance(value, dict) else "[]"
        items = value.items() if isinstance(value, dict) else [(None, item) for item in value]
        inner = indent + step
        texts = [(f"{scalar(key)}: " if key is not None else "") + flow(item, inner) for key, item in items]
        if not texts or chance.random() < 0.5:
            return left + ", ".join(texts) + right
        body = ""
        for number, text in enumerate(texts, 1):
            comma = "," if number < len(texts) or chance.random() < 0.5 else ""
            body += f"{lines(inner)}{' ' * inner}{text}{comma}{comment()}\n"
        return f"{left}\n{body}{' ' * (indent + 1)}{right}"

    def block(value: Tree, indent: int) -> str:
        # What follows a colon or a dash, up to the end of the line.
        if isinstance(value, str) or not value or chance.randrange(3) == 0:
            return f" {flow(value, indent)}{comment()}\n"
        return f"{comment()}\n" + collection(value, indent + step)

    def collection(value: Tree, indent: int) -> str:
        out = ""
        if isinstance(value, dict):
            for key, item in value.items():
                out += f"{lines(indent)}{' ' * indent}{scalar(key)}:{block(item, indent)}"
            return out
        assert isinstance(value, list)
        for item in value:
            out += lines(indent) + " " * indent + "-"
            if isinstance(item, dict) and item and chance.random() < 0.5:
                # The first key on the dash's line.
                text = collection(item, indent + 2)
                first = next(line for line in text.splitlines() if line.strip() and line.strip()[0] != "#")
                out += " " + text[text.index(first) + indent + 2 :]
            else:
                out += block(item, indent)
        return out

    text = lines(0) + collection(tree, 0)
    if chance.random() < 0.5:
        text = text.rstrip("\n")
    return text.replace("\n", newline)


def written(tree: Tree) -> st.SearchStrategy[str]:
    """Return ways to write a mapping."""
    return st.integers(0, 2**32).map(lambda seed: write(tree, seed))


@st.composite
def changed(draw: st.DrawFn, tree: Tree) -> Tree:
    """Set some things of a tree, put some in and take some out; the rest stays in its order."""
    if isinstance(tree, dict):
        result: dict[str, Tree] = {}
        for key, value in tree.items():
            what = draw(st.integers(0, 7))
            if what == 0:
                new = draw(names)
                if new not in tree and new not in result:
                    result[new] = draw(trees)
            if what == 1:
                continue
            if what == 2:
                result[key] = draw(trees)
            elif what == 3:
                result[key] = draw(changed(value))
            else:
                result[key] = value
        if draw(st.integers(0, 3)) == 0:
            result.setdefault(draw(names.filter(lambda name: name not in tree)), draw(trees))
        return result
    if isinstance(tree, list):
        kept = [item for item in tree if draw(st.integers(0, 3))]
        return kept + draw(st.lists(trees, max_size=1))
    return draw(names)
