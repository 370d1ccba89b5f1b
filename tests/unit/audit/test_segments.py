"""Segments are read from both ends, a block at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.audit import segments as module
from sidecar.audit.segments import complete_length, lines_backwards, lines_forwards, segment_path, segments

CONTENT = st.text("ab\n", max_size=60).map(str.encode)


@given(content=CONTENT, block=st.integers(1, 9))
def test_both_ways_give_the_complete_lines(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, block: int
) -> None:
    """Whatever the size of a block, the lines are those of the file without an unfinished last one."""
    path = segment_path(tmp_path_factory.mktemp("segment"), 1)
    path.write_bytes(content)
    path.chmod(0o600)
    expected = content.split(b"\n")[:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        assert list(lines_backwards(path)) == expected[::-1]
        descriptor = os.open(path, os.O_RDONLY)
        try:
            assert complete_length(descriptor) == sum(len(line) + 1 for line in expected)
        finally:
            os.close(descriptor)
    assert list(lines_forwards(path)) == expected


def test_a_segment_that_was_removed_has_no_lines(tmp_path: Path) -> None:
    """A reader that listed a segment before it was removed to make room goes on with the others."""
    assert list(lines_backwards(tmp_path / "000000000001.jsonl")) == []
    assert list(lines_forwards(tmp_path / "000000000001.jsonl")) == []


def test_segments_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Numbers of more digits than usual come last."""
    names = ["999999999999.jsonl", "1000000000000.jsonl", "000000000001.jsonl"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in segments(tmp_path)] == [names[2], names[0], names[1]]
