"""What the tests of the Apollo source share: a namespace of their own each, and sources that end with the test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar.sources import open_source
from tests.integration.watched import WatchedSource

Watch = Callable[..., WatchedSource]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("apollo")


@pytest.fixture
def namespace() -> str:
    """Name a namespace that no other test uses."""
    return f"routing-{uuid.uuid4().hex[:8]}.yaml"


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Start sources, and stop them when the test is over."""
    with ExitStack() as stack:
        yield lambda url, options=None: stack.enter_context(WatchedSource(open_source(url, options or {})))
