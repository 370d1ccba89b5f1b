"""Builds the adapter, and starts ZooKeeper, the sidecar and the jobs of three datacenters once for this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.elasticjob.site import ElasticSite, build
from tests.servers.zookeeper.server import ZooKeeperServer


@pytest.fixture(scope="package")
def site(zookeeper: ZooKeeperServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticSite]:
    """Run three datacenters; each test sets the routes that it needs, and brings back what it breaks."""
    with ElasticSite(build(), tmp_path_factory.mktemp("elasticjob"), zookeeper.address) as running:
        yield running
