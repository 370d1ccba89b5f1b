"""How prompts and reports name what a change writes to."""

from __future__ import annotations

import pytest

from sidecar.cli.options.target import Target


@pytest.mark.parametrize(
    ("url", "context", "text"),
    [
        ("file:routing.yaml", "", "file:routing.yaml"),
        ("zookeeper://zk:2181/routing", "prod", "zookeeper://zk:2181/routing, context prod"),
        ("nacos://n:8848/G/key", "", "nacos://n:8848/G/key, namespace public"),
        ("nacos://n:8848/G/key?namespace=pay", "eu", "nacos://n:8848/G/key?namespace=pay, namespace pay, context eu"),
    ],
)
def test_source_namespace_and_context_are_named(url: str, context: str, text: str) -> None:
    """The namespace is named where the config center has one, also the one that a URL leaves out."""
    assert str(Target(url=url, context=context)) == text
