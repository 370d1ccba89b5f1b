"""Registers the fixtures that several folders of tests share, and keeps together what shares its servers."""

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import tests.grpc_setup  # noqa: F401 - before anything imports gRPC

# How fast a machine is, or how busy, says nothing of what is tested.
settings.register_profile("timeless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("timeless")

# Commands keep things for their user: in tests not for whoever runs them.
_HOME = tempfile.mkdtemp(prefix="dc-sidecar-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {"XDG_STATE_HOME": f"{_HOME}/state", "XDG_CONFIG_HOME": f"{_HOME}/config"}

pytest_plugins = ["tests.servers.fixtures"]

# Folders whose tests share servers that are too big to be there once for each worker.
_TOGETHER = ("celery", "elasticjob", "powerjob")
# Files of theirs that use none of these servers.
_APART = ("tests/powerjob/test_stock_server.py", "tests/powerjob/test_schedulers_guide.py")
# What takes or waits longest begins first: no worker is left with it at the end, and the unit tests use the waiting.
_LONGEST = (
    "powerjob",
    "celery",
    "elasticjob",
    "tests/integration/nacos/test_faults.py",
    "tests/powerjob/test_stock_server.py",
    "tests/integration/failures/test_contract.py",
    "tests/e2e/test_page.py",
    "tests/integration/zookeeper/test_faults.py",
    "tests/integration/apollo/test_faults.py",
    "tests/integration/nacos/test_cluster.py",
    "tests/e2e/test_nacos_console.py",
    "tests/deploy/test_release.py",
    "tests/integration/nacos/test_watch.py",
    "tests/integration/nacos/test_access_keys.py",
    "tests/integration/nacos/test_credentials.py",
    "tests/attack/test_short.py",
    "tests/chaos/test_short.py",
)


def _group(nodeid: str) -> str:
    """Return what runs on one worker with this test: its file, or its folder where that shares servers."""
    file = nodeid.split("::", 1)[0]
    folder = file.split("/")[1]
    return folder if folder in _TOGETHER and file not in _APART else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest groups first, in all workers alike."""
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(_group(item.nodeid), len(rank)))


class _GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # not typed
    """Gives each group to one worker, and so the servers that its tests share.

    `--dist loadgroup` would do so by marks, but pytest-xdist 3.8 loses them with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Keep groups together, in the order of the tests."""
    config.option.loadscopereorder = False
    return _GroupScheduling(config, log)
