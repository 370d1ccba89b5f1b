"""The real servers that several tests share, each started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from tests.servers.apollo.server import ApolloServer
from tests.servers.nacos.server import TOKEN_LIFE, NacosServer, authentication
from tests.servers.nacos3.server import Nacos3Server, authentication3
from tests.servers.shared import shared
from tests.servers.zookeeper.server import ZooKeeperServer


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    """Run a ZooKeeper that nobody breaks; tests that break one start their own."""
    with ZooKeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


@pytest.fixture(scope="session")
def nacos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Run a Nacos 2.3 without users that nobody breaks; tests that break one start their own."""
    with shared(tmp_path_factory, "nacos", lambda folder, port: NacosServer(folder, port=port)) as server:
        yield server


@pytest.fixture(scope="session")
def nacos_with_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Run a Nacos 2.3 that wants a login: nacos with password nacos may do everything; logins last TOKEN_LIFE."""
    settings = authentication(token_life=TOKEN_LIFE)
    with shared(
        tmp_path_factory,
        "nacos-with-users",
        lambda folder, port: NacosServer(folder, port=port, settings=settings),
    ) as server:
        yield server


@pytest.fixture(scope="session")
def nacos3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Run a Nacos 3 without users that nobody breaks; tests that break one start their own."""
    with shared(tmp_path_factory, "nacos3", lambda folder, port: Nacos3Server(folder, port=port)) as server:
        yield server


@pytest.fixture(scope="session")
def nacos3_with_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Run a Nacos 3 that wants a login: nacos with password nacos may do everything; logins last TOKEN_LIFE."""
    settings = authentication3(token_life=TOKEN_LIFE)
    with shared(
        tmp_path_factory,
        "nacos3-with-users",
        lambda folder, port: Nacos3Server(folder, port=port, settings=settings),
        lambda server: server.operator.create_administrator(),
    ) as server:
        yield server


@pytest.fixture(scope="session")
def apollo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApolloServer]:
    """Run an Apollo that nobody breaks; tests that break one start their own."""
    with ApolloServer(tmp_path_factory.mktemp("apollo")) as server:
        yield server
