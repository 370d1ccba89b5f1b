"""Access keys, with a real Nacos whose authentication checks the signature of each request by the code of Nacos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.errors import SourceError
from sidecar.sources import open_source
from sidecar.sources.base import Unreachable
from sidecar.sources.nacos import NacosSource
from tests.integration.nacos.conftest import Watch
from tests.servers.nacos.server import NacosServer, access_keys, authentication, source_url
from tests.servers.nacos3.server import Nacos3Server, authentication3
from tests.waiting import eventually

pytestmark = pytest.mark.nacos

_SETTINGS = {NacosServer: authentication, Nacos3Server: authentication3}


@dataclass(frozen=True, slots=True)
class Checked:
    """A server that takes signed requests only, and the file that holds the secret key on its side."""

    server: NacosServer
    secret: Path

    def accepted(self, kind: str) -> int:
        """Count the requests of this kind whose signature was right."""
        return sum(line == f"access key: {kind} accepted" for line in self._checks())

    def refused(self) -> list[str]:
        """Return the requests whose signature was wrong; the one that finds out the version has none."""
        return [line for line in self._checks() if " refused: not the signature" in line]

    def _checks(self) -> list[str]:
        return [line for line in self.server.log.read_text().splitlines() if line.startswith("access key: ")]


@pytest.fixture(scope="module", params=[NacosServer, Nacos3Server], ids=["2.3", "3.1"])
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    """Run a Nacos that checks signatures, of either version."""
    folder = tmp_path_factory.mktemp("access-keys")
    secret = folder / "secret-key"
    secret.write_text("right")
    settings = _SETTINGS[request.param]() | access_keys(secret)
    with request.param(folder / "home", settings=settings) as server:
        yield Checked(server, secret)


@pytest.mark.parametrize("namespace", ["", "prod"])
def test_reads_the_push_and_writes_are_signed(checked: Checked, key: str, watch: Watch, namespace: str) -> None:
    """Over HTTP and gRPC, in both kinds of namespaces, the server computes the same signature from the request."""
    options = {"nacos-access-key": "ak", "nacos-secret-key": "right"}
    source = open_source(source_url([checked.server], key, namespace=namespace), options)
    assert isinstance(source, NacosSource)
    refused = len(checked.refused())
    version = source.write(b"dc1", None, 5)
    watched = watch(source_url([checked.server], key, namespace=namespace), options)
    watched.is_told_of(1)
    source.write(b"dc2", version, 5)
    watched.reaches("dc2")
    watched.is_told_of(2)
    assert [entry.text for entry in source.history.entries(10, 5)] == [b"dc2", b"dc1"]
    assert all(map(checked.accepted, ("HTTP", "ConfigBatchListenRequest", "ConfigQueryRequest")))
    assert checked.refused()[refused:] == []


def test_another_secret_is_refused_and_healed_by_its_file(
    checked: Checked, key: str, watch: Watch, tmp_path: Path
) -> None:
    """UNREACHABLE names access key and secret key, never their values; the right file is enough to go on."""
    checked.server.operator.publish(key, "dc1")
    secret = tmp_path / "secret-key"
    secret.write_text("planted-wrong")
    options = {"nacos-access-key": "ak", "nacos-secret-key-file": str(secret)}
    watched = watch(source_url([checked.server], key), options)
    report = watched.becomes(Unreachable)
    assert isinstance(report, Unreachable)
    assert "the access key may not, or its secret key is wrong" in report.reason
    assert "planted" not in report.reason
    secret.write_text("right\n")
    watched.reaches("dc1")


def test_a_rotated_secret_needs_no_restart(checked: Checked, key: str, watch: Watch, tmp_path: Path) -> None:
    """Server and file get a new secret while running: reads and a new push session sign with it."""
    secret = tmp_path / "secret-key"
    secret.write_text("right")
    options = {"nacos-access-key": "ak", "nacos-secret-key-file": str(secret)}
    checked.server.operator.publish(key, "dc1")
    watched = watch(source_url([checked.server], key), options)
    watched.is_told_of(1)
    try:
        secret.write_text("rotated")
        checked.secret.write_text("rotated")
        checked.server.operator.publish(key, "dc2")
        watched.reaches("dc2")
        watched.is_told_of(1)
        accepted = checked.accepted("ConfigQueryRequest")
        checked.server.operator.publish(key, "dc3")
        watched.reaches("dc3")
        eventually(lambda: checked.accepted("ConfigQueryRequest") > accepted, "the push with the new secret")
    finally:
        checked.secret.write_text("right")


def test_no_signature_is_refused(checked: Checked, key: str) -> None:
    """The server of these tests checks: without credentials nothing is read."""
    with pytest.raises(SourceError, match="DC_SIDECAR_NACOS_USERNAME"):
        open_source(source_url([checked.server], key), {}).read(5)
