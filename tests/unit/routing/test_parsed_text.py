"""A text and what it says, from one pass."""

from __future__ import annotations

import pytest
import yaml

from sidecar.routing.document import parse_document, revision_of
from sidecar.routing.parsed_text import parse_text
from sidecar.yaml_reader import places


@pytest.mark.parametrize(
    ("text", "is_json"),
    [("default: dc1\napps: {a: dc2}\n", False), ('{"default": "dc1", "apps": {"a": "dc2"}}', True)],
    ids=["YAML", "JSON"],
)
def test_values_places_and_document_come_together(text: str, is_json: bool) -> None:
    """They are those that the separate functions return, and the events are all of the text's."""
    parsed = parse_text(text.encode())
    assert parsed.tree == {"default": "dc1", "apps": {"a": "dc2"}}
    assert parsed.document == parse_document(text.encode())
    assert parsed.revision == parsed.document.revision
    assert parsed.refusal is None
    assert parsed.is_json is is_json
    assert parsed.record.places == places(text)
    assert isinstance(parsed.record.events[-1], yaml.StreamEndEvent)


@pytest.mark.parametrize("text", ["dc1", "\ufeff dc1\r\n"])
def test_a_bare_word_has_no_parts(text: str) -> None:
    """It is its own value, and no parser is asked."""
    parsed = parse_text(text.encode())
    assert (parsed.tree, parsed.record.events, parsed.is_json) == ("dc1", [], False)
    assert parsed.document == parse_document(text.encode())


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (b"default: [", None),
        (b"\xff", None),
        (b"", None),
        (b"default: &a dc1\napps: {x: *a}\n", None),
        (b"defualt: dc1\n", {"defualt": "dc1"}),
        (b'{"defualt": "dc1"}', {"defualt": "dc1"}),
    ],
)
def test_a_text_that_is_not_valid_says_why(text: bytes, tree: object) -> None:
    """Values are there where the text can be read at all."""
    parsed = parse_text(text)
    assert (parsed.tree, parsed.document) == (tree, None)
    assert parsed.refusal is not None
    with pytest.raises(type(parsed.refusal)) as refused:
        parse_document(text)
    assert str(refused.value) == str(parsed.refusal)


def test_the_revision_is_that_of_the_document() -> None:
    """The text alone gives it, also where the document is refused."""
    parsed = parse_text(b"dc1")
    assert parsed.document is not None
    assert parsed.revision == parsed.document.revision
    assert parse_text(b"[").revision == revision_of(b"[")
