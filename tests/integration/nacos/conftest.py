"""What the tests of the Nacos source share: a key of their own each, and sources that are stopped at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.nacos.watched import Watched
from tests.servers.nacos.server import NacosServer

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


@pytest.fixture(params=["2.3", "3.1"])
def server(request: pytest.FixtureRequest) -> NacosServer:
    """Return a server without users, of either version."""
    found: NacosServer = request.getfixturevalue("nacos" if request.param == "2.3" else "nacos3")
    return found


@pytest.fixture(params=["2.3", "3.1"])
def server_with_users(request: pytest.FixtureRequest) -> NacosServer:
    """Return a server that wants a login, of either version."""
    found: NacosServer = request.getfixturevalue(f"nacos{'' if request.param == '2.3' else '3'}_with_users")
    return found
