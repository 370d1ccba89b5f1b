"""Escapes what a terminal would act on or hide, for command output, messages and the log.

Documents, requests, config centers and records have text of strangers in them. An escape sequence in it can change a
terminal's title or clipboard, a line break can forge a line of a log, and characters without width or with another
direction make one name look like another.
"""

from __future__ import annotations

import re

# C0 (without the tab), DEL, C1; soft hyphen; marks, joiners and overrides of direction and width; line and paragraph
# separators; annotations; tags; and surrogates, which cannot be written at all.
_UNSAFE = (
    "\0-\x08\n-\x1f\x7f-\x9f\xad\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
)
_PATTERN = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\n": "\\n", "\r": "\\r"}


def escaped(text: str) -> str:
    r"""Return a text as one line: `\n`, `\x1b`, `\u202e` instead of such a character. Tabs stay."""
    return text if text.isprintable() else _PATTERN.sub(_escape, text)


def escaped_json(text: str) -> str:
    """Return JSON that means the same, with such characters escaped; line breaks between its values stay."""
    return text if text.isascii() and "\x7f" not in text else _PATTERN.sub(_escape_json, text)


def escaped_message(text: str) -> str:
    """Return a message whose lines are escaped, and indented after the first, which no text can then forge."""
    return "\n  ".join(map(escaped, text.split("\n")))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    code = ord(char)
    return _SHORT.get(char) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def _escape_json(found: re.Match[str]) -> str:
    char = found[0]
    if char in "\n\r":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
