"""Starts the brokers once, and on each the workers of three datacenters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.celery.site import CelerySite
from tests.powerjob.second import certified
from tests.servers.rabbitmq.server import RabbitMqServer
from tests.servers.redis.server import RedisServer


@pytest.fixture(scope="package")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a Redis; what breaks it starts it again."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="package")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMqServer]:
    """Run a RabbitMQ; what breaks it starts it again."""
    with RabbitMqServer(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="package")
def redis_site(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CelerySite]:
    """Run three datacenters on Redis; each test sets the routes that it needs, and brings back what it breaks."""
    with CelerySite(tmp_path_factory.mktemp("on-redis"), redis, redis.url.removesuffix("0") + "1") as running:
        yield running


@pytest.fixture(scope="package")
def rabbitmq_site(rabbitmq: RabbitMqServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CelerySite]:
    """Run three datacenters on RabbitMQ, without results, and with a sidecar that listens with TLS."""
    folder = tmp_path_factory.mktemp("on-rabbitmq")
    with CelerySite(folder, rabbitmq, None, tls=certified(folder)) as running:
        yield running


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest) -> CelerySite:
    """Give the site on each broker."""
    found = request.getfixturevalue(f"{request.param}_site")
    assert isinstance(found, CelerySite)
    return found
