from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.editing.rewrite import rewrite, tree_of
from sidecar.yaml_reader import Tree
from tests.unit.editing import texts


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_any_text_comes_out_exactly(data: st.DataObject) -> None:
    """However a text is written and whatever of it changes, the result says the change and nothing else."""
    tree = data.draw(texts.documents)
    text = data.draw(texts.written(tree)).encode()
    assert tree_of(text) == tree
    target: Tree = data.draw(texts.changed(tree).filter(lambda t: isinstance(t, dict) and bool(t)))
    assert tree_of(rewrite(text, target)) == target
