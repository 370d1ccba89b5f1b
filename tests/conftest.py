"""Registers the fixtures that several folders of tests share, and keeps together what shares its servers."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import tests.grpc_setup  # noqa: F401 - before anything imports gRPC

# How fast a machine is, or how busy, says nothing of what is tested.
settings.register_profile("timeless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("timeless")

# Commands keep things for their user: in tests not for whoever runs them.
_HOME = tempfile.mkdtemp(prefix="dc-sidecar-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {"XDG_STATE_HOME": f"{_HOME}/state", "XDG_CONFIG_HOME": f"{_HOME}/config"}

pytest_plugins = ["tests.servers.fixtures"]

_TESTS = Path(__file__).parent
# Folders whose tests share servers that are too big to be there once for each worker.
_TOGETHER = ("celery", "powerjob")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one worker, and so the servers that its tests share; a folder of _TOGETHER as a whole."""
    for item in items:
        path = item.path.relative_to(_TESTS)
        group = path.parts[0] if path.parts[0] in _TOGETHER else str(path)
        item.add_marker(pytest.mark.xdist_group(group))
