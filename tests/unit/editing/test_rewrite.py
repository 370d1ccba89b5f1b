"""Texts that are changed in place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.editing.rewrite import rewrite
from sidecar.errors import ChangeRefused
from sidecar.routing.parsed_text import parse_text
from sidecar.yaml_reader import Tree
from tests.unit.editing import texts


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_any_text_comes_out_exactly(data: st.DataObject) -> None:
    """However a text is written and whatever of it changes, the result says the change and nothing else."""
    tree = data.draw(texts.documents)
    text = data.draw(texts.written(tree)).encode()
    parsed = parse_text(text)
    assert parsed.tree == tree
    target: Tree = data.draw(texts.changed(tree).filter(lambda t: isinstance(t, dict) and bool(t)))
    assert parse_text(rewrite(parsed, target).text).tree == target


def test_what_says_the_same_is_the_same_text() -> None:
    """Nothing is written anew, and nothing read again, where nothing changes."""
    parsed = parse_text(b"default:   dc1   # odd blanks\n")
    assert rewrite(parsed, {"default": "dc1"}) is parsed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"meta": {"by": "\\ud83d\\ude00"}, "default": "dc1"}', id="JSON that YAML's parser cannot read"),
        pytest.param("? default\n: dc1\n", id="an explicit key"),
    ],
)
def test_a_text_that_cannot_be_changed_in_place_is_refused(text: str) -> None:
    """It is not reformatted either: the operator changes it by hand."""
    parsed = parse_text(text.encode())
    assert parsed.refusal is None
    assert isinstance(parsed.tree, dict)
    with pytest.raises(ChangeRefused, match="dc-sidecar edit"):
        rewrite(parsed, {**parsed.tree, "default": ["x"]})


def test_a_result_that_is_too_long_is_a_problem_of_the_document() -> None:
    """The bound is named, not the way that the text is written."""
    result = rewrite(parse_text(b"default: dc1\n"), {"default": "dc" * 30}, max_bytes=40)
    assert result.refusal is not None
    assert "at most 40 are allowed" in str(result.refusal)
