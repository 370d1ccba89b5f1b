"""Replays the corpus of the fuzzer, past findings included, without the fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

_FILES = sorted(path for path in Path(__file__).with_name("corpus").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_there_is_something_to_begin_with(name: str) -> None:
    """Each target has a corpus of valid input to start from."""
    assert any(path.parent.name == name for path in _FILES)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_nothing_in_the_corpus_does_harm(path: Path) -> None:
    """No input of the corpus violates what its target checks."""
    TARGETS[path.parent.name](path.read_bytes())
