"""What the tests of the Nacos source share: a key of their own each, and sources that are stopped at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.nacos.watched import Watched

Watch = Callable[..., Watched]


@pytest.fixture
def key() -> str:
    """Name a data id that no other test uses."""
    return f"routing-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Start sources, and stop them when the test is over."""
    with ExitStack() as stack:
        yield lambda url, options=None: stack.enter_context(Watched(url, options))
