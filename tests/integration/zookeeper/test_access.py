"""Credentials, certificates and ACLs, and the error for each missing permission."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from sidecar.errors import SourceError
from sidecar.lifecycle import SourceState
from sidecar.sources import open_source
from sidecar.sources.base import Content
from tests.integration.zookeeper.conftest import Serve
from tests.servers.process import free_port
from tests.servers.zookeeper.access import Authority, sasl
from tests.servers.zookeeper.server import ZooKeeperServer, zookeeper_client
from tests.waiting import eventually

READER = {"zookeeper-username": "reader", "zookeeper-password": "r3ad-s3cret"}
SASL = {"zookeeper-sasl-username": "alice", "zookeeper-sasl-password": "al1ce-s3cret"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make an authority that both servers of this module and their clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[tuple[ZooKeeperServer, int]]:
    """Run a server with SASL users on its port, and TLS that demands a client certificate on the second port."""
    folder, secure = tmp_path_factory.mktemp("guarded"), free_port()
    provider, java = sasl(folder, {"alice": SASL["zookeeper-sasl-password"]})
    settings = provider | authority.tls(secure, clients="need")
    with ZooKeeperServer(folder, settings=settings, java=java) as server:
        yield server, secure


def test_a_missing_right_to_read_is_one_line_and_is_retried(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, serve: Serve
) -> None:
    """The error has the path and the permission; decisions start when the ACL allows it, and survive its removal."""
    closed = [make_digest_acl("reader", "another", all=True), make_acl("world", "anyone", admin=True)]
    operator.ensure_path(node.rpartition("/")[0])
    operator.create(node, b"dc1", acl=closed)
    serving = serve(f"zookeeper://{zookeeper.address}{node}", READER)
    expected = f"ZooKeeper gives digest user 'reader' no READ permission on {node}: check its ACL (getAcl {node})"
    eventually(lambda: serving.error == expected, expected)
    assert serving.state is SourceState.CONNECTING
    operator.set_acls(node, [*closed, make_digest_acl("reader", "r3ad-s3cret", read=True)])
    serving.decides_for("dc1")
    serving.is_in(SourceState.SYNCED)
    operator.set_acls(node, closed)
    serving.is_in(SourceState.DISCONNECTED)
    assert serving.error == expected
    operator.set_acls(node, OPEN_ACL_UNSAFE)
    serving.is_in(SourceState.SYNCED)


def test_a_missing_right_to_write_is_named(zookeeper: ZooKeeperServer, operator: KazooClient, node: str) -> None:
    """WRITE on the node, CREATE on its parent, CREATE on the highest parent that is lacking."""
    readable = [make_acl("world", "anyone", read=True, admin=True)]
    operator.ensure_path(node.rpartition("/")[0])
    operator.create(node, b"dc1", acl=readable)
    source = open_source(f"zookeeper://{zookeeper.address}{node}", READER)
    found = source.read(5)
    assert isinstance(found, Content)
    with pytest.raises(SourceError, match=f"digest user 'reader' no WRITE permission on {node}: check"):
        source.write(b"dc2", found.version, 5)
    url, options = f"zookeeper://{zookeeper.address}{node}/below", READER | {"zookeeper-create-parents": "true"}
    with pytest.raises(SourceError, match=f"no CREATE permission on {node}: check"):
        open_source(url, options).write(b"dc2", None, 5)
    with pytest.raises(SourceError, match=f"no CREATE permission on {node}: check"):
        open_source(f"{url}/and/deeper", options).write(b"dc2", None, 5)


@pytest.mark.timed
def test_sasl(guarded: tuple[ZooKeeperServer, int], node: str, serve: Serve) -> None:
    """With the right password a node for `sasl:alice` alone is created, watched and written."""
    server, _ = guarded
    url = f"zookeeper://{server.address}{node}"
    options = SASL | {"zookeeper-acl": "sasl:alice:cdrwa", "zookeeper-create-parents": "true"}
    source = open_source(url, options)
    version = source.write(b"dc1", None, 5)
    serving = serve(url, options)
    serving.decides_for("dc1")
    source.write(b"dc2", version, 5)
    serving.decides_for("dc2", 1)
    with pytest.raises(SourceError, match=f"a client without credentials no READ permission on {node}"):
        open_source(url, {}).read(5)


def test_a_refused_sasl_password_is_said_and_retried(guarded: tuple[ZooKeeperServer, int], serve: Serve) -> None:
    """The refusal ends kazoo's client; new ones are tried, without haste, and the reason names user and server."""
    server, _ = guarded
    wrong = SASL | {"zookeeper-sasl-password": "wrong-s3cret"}
    with pytest.raises(SourceError, match="refused SASL user 'alice': check user and password"):
        open_source(f"zookeeper://{server.address}/routing", wrong).read(5)
    serving = serve(f"zookeeper://{server.address}/routing", wrong)
    eventually(lambda: "refused SASL user 'alice'" in serving.error, "the refusal in source_error")
    assert "s3cret" not in serving.error
    watch = serving.source._watch
    assert watch is not None
    first = watch._session
    eventually(lambda: watch._session is not first, "another client")
    second = watch._session
    eventually(lambda: watch._session is not second, "a third client")
    assert watch._backoff.pause_s >= 2.0


@pytest.mark.timed
def test_tls_with_a_client_certificate(
    guarded: tuple[ZooKeeperServer, int], authority: Authority, node: str, serve: Serve
) -> None:
    """The node is for this certificate alone: created, watched and written over TLS."""
    _, secure = guarded
    cert, key = authority.certify("sidecar.test")
    options = {
        "zookeeper-ca": str(authority.ca),
        "zookeeper-cert": str(cert),
        "zookeeper-key": str(key),
        "zookeeper-acl": "auth::cdrwa",
        "zookeeper-create-parents": "true",
    }
    url = f"zookeeper://127.0.0.1:{secure}{node}"
    source = open_source(url, options)
    version = source.write(b"dc1", None, 5)
    serving = serve(url, options)
    serving.decides_for("dc1")
    for number in range(2, 12):
        version = source.write(b"dc%d" % number, version, 5)
        serving.decides_for(f"dc{number}", 1)
    is_refused(url, {"zookeeper-ca": str(authority.ca)}, "takes the connection, but opens no session")


def test_tls_without_client_certificates(tmp_path: Path, authority: Authority) -> None:
    """The server's certificate must be of the given authority and for the host in the URL; else the reason is said."""
    right, wrong = free_port(), free_port()
    another = Authority(tmp_path / "another")
    with (
        ZooKeeperServer(tmp_path / "right", settings=authority.tls(right)) as server,
        ZooKeeperServer(tmp_path / "wrong", settings=authority.tls(wrong, identity="elsewhere.test")),
        zookeeper_client(server.address) as operator,
    ):
        operator.create("/routing", b"dc1")
        url, options = f"zookeeper://127.0.0.1:{right}/routing", {"zookeeper-ca": str(authority.ca)}
        assert open_source(url, options).read(10) == Content(b"dc1", f"{operator.get('/routing')[1].mzxid:#x}")
        is_refused(url, {"zookeeper-ca": str(another.ca)}, "certificate verify failed")
        is_refused(url, {"zookeeper-tls": "true"}, "certificate verify failed")
        is_refused(f"zookeeper://127.0.0.1:{wrong}/routing", options, "IP address mismatch")


def is_refused(url: str, options: Mapping[str, str], reason: str) -> None:
    """Check that reading fails for this reason; a server's first handshakes may take longer than a read may."""

    def told() -> bool:
        with pytest.raises(SourceError, match=r"127\.0\.0\.1") as refused:
            open_source(url, options).read(1)
        return reason in str(refused.value)

    eventually(told, reason, within=20)
