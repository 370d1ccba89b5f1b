from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness import Caller, SidecarProcess
from tests.integration.failures.centers import ApolloOne, Center, FakeOne, FileOne, NacosOne, ZooKeeperOne
from tests.servers.nacos.server import NacosServer
from tests.servers.nacos3.server import Nacos3Server

FIRST = "default: {active: dc1, backups: [dc2, dc3]}\n"
SECOND = "default: {active: dc2, backups: [dc1, dc3]}\n"


@pytest.fixture(scope="package")
def nacos_on_its_way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, NacosServer]]:
    """Start a Nacos 2.3 and a Nacos 3 and do not wait: the tests of the other sources run meanwhile."""
    kinds = {"nacos": NacosServer, "nacos3": Nacos3Server}
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    chosen = kinds.keys() & {test.callspec.params.get("mended") for test in tests}
    servers = {name: kinds[name](tmp_path_factory.mktemp(name)) for name in sorted(chosen)}
    for server in servers.values():
        server.start(wait=False)
    yield servers
    for server in servers.values():
        server.kill()


@pytest.fixture(
    scope="package",
    params=[
        "fake",
        "file",
        pytest.param("zookeeper", marks=pytest.mark.zookeeper),
        pytest.param("apollo", marks=pytest.mark.apollo),
        pytest.param("nacos", marks=pytest.mark.nacos),
        pytest.param("nacos3", marks=pytest.mark.nacos),
    ],
)
def mended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Run one config center for all tests of this package."""
    nacos = request.getfixturevalue("nacos_on_its_way")
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        center: Center
        match request.param:
            case "fake":
                center = FakeOne(stack, folder)
            case "file":
                center = FileOne(stack, folder)
            case "zookeeper":
                center = ZooKeeperOne(stack, folder)
            case "apollo":
                center = ApolloOne(stack, folder)
            case version:
                center = NacosOne(stack, nacos[version])
        yield center


@pytest.fixture
def center(mended: Center) -> Center:
    """Return a config center that is well, and whose key sends work to dc1."""
    mended.put(FIRST)
    return mended


Serve = Callable[..., SidecarProcess]
Call = Callable[[SidecarProcess], Caller]


@pytest.fixture
def serve(center: Center, tmp_path: Path) -> Iterator[Serve]:
    """Start sidecars of the center; they end with the test."""
    with ExitStack() as stack:

        def start(*arguments: str, name: str = "sidecar", wait: bool = True) -> SidecarProcess:
            folder = tmp_path / name
            folder.mkdir()
            return stack.enter_context(
                SidecarProcess(center.url, *arguments, folder=folder, module=center.module, wait_for_document=wait)
            )

        yield start


@pytest.fixture
def call() -> Iterator[Call]:
    """Start schedulers that call without a pause; they end with the test."""
    with ExitStack() as stack:
        yield lambda sidecar: stack.enter_context(Caller(sidecar.address))
