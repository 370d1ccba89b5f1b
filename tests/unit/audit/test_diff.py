"""Differences of texts."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from sidecar.audit.diff import diff_lines

LINES = st.lists(st.sampled_from(["a", "b", "c", "dc1: x", ""]), max_size=30).map(
    lambda lines: "".join(f"{x}\n" for x in lines)
)


def test_an_edit_in_the_middle() -> None:
    """The lines around are shown, under their numbers."""
    before = "".join(f"line {number}\n" for number in range(1, 101))
    assert diff_lines(before, before.replace("line 50\n", "another\n")) == [
        "@@ -47,7 +47,7 @@",
        *(f" line {number}" for number in range(47, 50)),
        "-line 50",
        "+another",
        *(f" line {number}" for number in range(51, 54)),
    ]


def test_equal_texts() -> None:
    """Equal texts have an empty diff."""
    assert diff_lines("dc1", "dc1") == []


@given(LINES, LINES)
def test_a_difference_can_be_applied(before: str, after: str) -> None:
    """The added and removed lines are those that make one text into the other."""
    lines = diff_lines(before, after)
    left, right = before.splitlines(), after.splitlines()
    result: list[str] = []
    place = 0
    for line in lines:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            # A header without lines on the left names the line before.
            first = int(start) - (count != "0")
            result += left[place:first]
            place = first
        elif line[0] in " -":
            assert left[place] == line[1:]
            place += 1
        if line[0] in " +" and not line.startswith("@@"):
            result.append(line[1:])
    assert result + left[place:] == right


def test_a_rewrite_of_a_big_document_takes_no_time() -> None:
    """Where everything differs it is said in one line, soon."""
    before = "".join(f"a{number}: dc1\n" for number in range(30_000))
    began = time.process_time()
    assert diff_lines(before, before.replace("dc1", "dc2")) == ["(about 30,000 lines became 30,000)"]
    assert time.process_time() - began < 1


def test_a_long_line_is_not_shown() -> None:
    """JSON without line breaks would be shown whole twice."""
    (line,) = diff_lines("x" * 100_000, "y" * 100_000)
    assert line == "(lines too long to show: 100,000 characters became 100,000)"
