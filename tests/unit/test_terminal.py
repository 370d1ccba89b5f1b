"""What a terminal would act on or hide is escaped, wherever text leaves."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.terminal import escaped, escaped_json, escaped_message

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 数据中心, é, \u3000, 🚀, a\tb", "plain, 数据中心, é, \u3000, 🚀, a\tb"),
        ("\x1b]0;owned\a", r"\x1b]0;owned\x07"),
        ("a\nb\r\x0b\x0c\x85\u2028\u2029", r"a\nb\r\x0b\x0c\x85\u2028\u2029"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("gnp\u202exe.\u2066", r"gnp\u202exe.\u2066"),
        ("b\u200bill\u200ding\ufeff\u00ad", r"b\u200bill\u200ding\ufeff\xad"),
        ("\u3164\U000e0041", r"\u3164\U000e0041"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_seen_is_escaped(text: str, shown: str) -> None:
    """Controls, separators, direction, width and tags are shown; letters of all languages stay."""
    assert escaped(text) == shown


def test_no_control_or_format_character_is_left_out() -> None:
    """All such characters of Unicode are escaped, but for the tab and marks that stand before digits."""
    every = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in HIDDEN}
    shown = {char for char in every if escaped(char) == char}
    # Signs of numbers, verses and hieroglyphs: visible.
    assert {unicodedata.name(char, char).partition(" ")[0] for char in shown} <= {
        *("\t", "ARABIC", "EGYPTIAN", "KAITHI", "SHORTHAND"),
    }


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_json_means_the_same(text: str, more: dict[str, str]) -> None:
    """Escaped JSON is read as before, and has nothing that acts."""
    data = {"text": text, **more}
    shown = escaped_json(json.dumps(data, indent=1, ensure_ascii=False))
    assert json.loads(shown) == data
    assert escaped(shown.replace("\n", "")) == shown.replace("\n", "")


def test_no_line_of_a_message_is_forged() -> None:
    """Further lines are indented, so none begins as a line of the log does."""
    assert escaped_message("lost\n00:00:00 error: forged\x1b") == "lost\n  00:00:00 error: forged\\x1b"
