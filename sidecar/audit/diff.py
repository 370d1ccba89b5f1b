"""A unified diff of two texts that is fast for a small edit of a big document."""

from __future__ import annotations

from difflib import unified_diff
from itertools import takewhile

_CONTEXT = 3
# Beyond this a diff is of no use to a reader, and takes long to compute.
_MAX_LINES = 1000
_MAX_BYTES = 64 * 1024


def diff_lines(before: str, after: str) -> list[str]:
    """Return the lines of a unified diff, without file headers; one line with its size if it is too large."""
    old, new = before.splitlines(), after.splitlines()
    # Most edits touch a few lines: the equal lines at both ends are skipped in C, and difflib gets the rest.
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    first = max(0, head - _CONTEXT)
    old, new = (lines[first : len(lines) - max(0, tail - _CONTEXT)] for lines in (old, new))
    if len(old) + len(new) > _MAX_LINES:
        return [f"(about {len(old):,} lines became {len(new):,})"]
    lines = [line for line in unified_diff(old, new, lineterm="", n=_CONTEXT) if line[:4] not in ("--- ", "+++ ")]
    shifted = [_shifted(line, first) if line.startswith("@@") else line for line in lines]
    if sum(map(len, shifted)) > _MAX_BYTES:
        return [f"(lines too long to show: {len(before):,} characters became {len(after):,})"]
    return shifted


def _common(one: list[str], other: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shifted(header: str, by: int) -> str:
    """Return a header such as `@@ -1,3 +1,4 @@` with both line numbers moved down."""
    words = header.split()
    for index in (1, 2):
        line, comma, count = words[index][1:].partition(",")
        words[index] = f"{words[index][0]}{int(line) + by}{comma}{count}"
    return " ".join(words)
