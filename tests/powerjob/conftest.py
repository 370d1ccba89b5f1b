"""Builds the adapter, and starts the scheduler and its workers once for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.powerjob.build import Artifacts, build
from tests.powerjob.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def artifacts() -> Artifacts:
    """Give the jars; the adapter's unit tests passed where this does."""
    return build()


@pytest.fixture(scope="package")
def site(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run three datacenters; each test sets the routes that it needs, and brings back what it breaks."""
    with Site(artifacts, tmp_path_factory.mktemp("powerjob")) as running:
        yield running
