"""The names that a document has for completion are those that decide."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sidecar.cli.completion.names import apps, datacenters, jobs, tree_of
from sidecar.errors import DocumentRejected
from sidecar.routing.document import MAX_BYTES, parse_document

ROOT = Path(__file__).parents[4]
TEXTS = {
    group["title"]: group["document"]
    for group in yaml.safe_load((ROOT / "tests/vectors/decisions.yaml").read_text(encoding="utf-8"))
}
EXAMPLES = sorted((ROOT / "deploy/examples").glob("routing*"))


@pytest.mark.parametrize(
    "text",
    [
        *(pytest.param(text.encode(), id=title) for title, text in TEXTS.items()),
        *(pytest.param(path.read_bytes(), id=path.name) for path in EXAMPLES),
        pytest.param(b"dc1", id="a bare name"),
        pytest.param(
            b'{"default": {"split": {"dc1": 1, "dc2": 0}, "backups": ["dc3"]}, "apps": {"a": {"jobs": {"1": "dc4"}}}}',
            id="JSON",
        ),
    ],
)
def test_names_are_those_of_the_parsed_document(text: bytes) -> None:
    """Applications, jobs of each and datacenters, in the same order, without the document being validated."""
    document, tree = parse_document(text), tree_of(text, MAX_BYTES)
    assert apps(tree) == tuple(document.apps)
    assert datacenters(tree) == document.datacenter_names()
    assert {app: jobs(tree, app) for app in apps(tree)} == {app: tuple(a.jobs) for app, a in document.apps.items()}


@pytest.mark.parametrize(
    "text", [b"", b"[dc1]", b"apps: [a]", b"apps: {a: [b]}", b"default: {active: [x], split: [y]}\ndrills: {a: b}"]
)
def test_another_shape_has_no_datacenters(text: bytes) -> None:
    """A document that means nothing is not an error in the middle of a line."""
    tree = tree_of(text, MAX_BYTES)
    assert datacenters(tree) == jobs(tree, "a") == ()


def test_the_bounds_of_documents_hold() -> None:
    """A text that is too long has no names; one that YAML refuses is refused."""
    assert apps(tree_of(b"apps: {a: dc1}", 14)) == ("a",)
    assert apps(tree_of(b"apps: {a: dc1}", 13)) == ()
    with pytest.raises(DocumentRejected):
        tree_of(b"apps: {a: dc1, a: dc2}", MAX_BYTES)
