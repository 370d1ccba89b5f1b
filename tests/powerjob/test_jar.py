"""The jar for the server: what it brings into somebody else's class path."""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.powerjob.build import Artifacts

# The first test pays for the build and for what Maven fetches.
pytestmark = pytest.mark.timeout(1200)

JAVA_8 = 52


def test_runs_on_java_8(artifacts: Artifacts) -> None:
    """No class needs more than the Java 8 of PowerJob's stock image."""
    with zipfile.ZipFile(artifacts.server) as jar:
        classes = [name for name in jar.namelist() if name.endswith(".class")]
        versions = Counter(struct.unpack(">xxxxxxH", jar.read(name)[:8])[0] for name in classes)
    assert max(versions) <= JAVA_8
    assert versions[JAVA_8] > 50


def test_brings_nothing_that_the_server_has_in_another_version(artifacts: Artifacts) -> None:
    """protobuf, guava and gson are moved into our package; what is left outside is gRPC, which the server lacks."""
    with zipfile.ZipFile(artifacts.server) as jar:
        packages = {"/".join(name.split("/")[:2]) for name in jar.namelist() if name.endswith(".class")}
        configuration = jar.read("META-INF/spring.factories").decode()
        services = [name for name in jar.namelist() if name.startswith("META-INF/services/io.grpc.")]
    assert packages == {"io/dcsidecar", "io/grpc", "io/perfmark"}
    assert "io.dcsidecar.powerjob.server.RoutingAutoConfiguration" in configuration
    assert "META-INF/services/io.grpc.ManagedChannelProvider" in services
