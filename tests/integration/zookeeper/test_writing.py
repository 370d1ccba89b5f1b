"""Writing the node, as the command line does: compare-and-set or nothing."""

from __future__ import annotations

import threading
import time

import pytest
from kazoo.client import KazooClient
from kazoo.security import ACL, Id, Permissions

from sidecar.errors import SourceError, WriteConflict
from sidecar.sources import open_source
from sidecar.sources.base import Content, Missing, Source
from sidecar.sources.zookeeper.session import ZooKeeperSession
from sidecar.sources.zookeeper.settings import read_settings
from tests.servers.process import free_port
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.zookeeper.server import ZooKeeperServer


@pytest.fixture
def source(zookeeper: ZooKeeperServer, node: str) -> Source:
    """Open a source at a node that does not exist yet; it creates parents."""
    return open_source(f"zookeeper://{zookeeper.address}{node}", {"zookeeper-create-parents": "true"})


def test_a_write_returns_the_version_that_the_next_expects(source: Source, operator: KazooClient, node: str) -> None:
    """Create, replace, replace: each by the version that the one before returned."""
    first = source.write(b"dc1", None, 5)
    second = source.write(b"dc2", first, 5)
    assert source.read(5) == Content(b"dc2", second)
    third = source.write(b"dc3", second, 5)
    data, stat = operator.get(node)
    assert (data, f"{stat.mzxid:#x}") == (b"dc3", third)


def test_a_write_after_somebody_elses_is_a_conflict(source: Source, operator: KazooClient, node: str) -> None:
    """Neither a set nor a deletion and re-creation in between (the counter of writes at 0 again) is overwritten."""
    version = source.write(b"dc1", None, 5)
    operator.set(node, b"theirs")
    with pytest.raises(WriteConflict, match=f"expected was version {version}"):
        source.write(b"ours", version, 5)
    found = source.read(5)
    assert isinstance(found, Content)
    operator.delete(node)
    operator.create(node, b"theirs again")
    for expected in (version, found.version):
        with pytest.raises(WriteConflict, match="nothing is written"):
            source.write(b"ours", expected, 5)
    assert operator.get(node)[0] == b"theirs again"


def test_a_node_that_exists_is_not_created_again(source: Source, operator: KazooClient, node: str) -> None:
    """Expecting nothing where there is something is a conflict, and so is the reverse; an empty node is nothing."""
    operator.create(node, b"", makepath=True)
    version = source.write(b"dc1", None, 5)
    with pytest.raises(WriteConflict, match="expected was nothing"):
        source.write(b"dc2", None, 5)
    operator.delete(node)
    with pytest.raises(WriteConflict, match="holds nothing"):
        source.write(b"dc2", version, 5)
    assert isinstance(source.read(5), Missing)


def test_version_zero_is_a_version(zookeeper: ZooKeeperServer, operator: KazooClient, node: str) -> None:
    """A write between our look and our set is not overwritten, also where the look showed version 0."""
    operator.create(node, b"dc1", makepath=True)
    session = ZooKeeperSession(read_settings(f"zookeeper://{zookeeper.address}{node}", {}), threading.Event())
    session.start()
    try:
        session.connect(5)
        view = session.read_node(5)
        assert view.version == 0
        operator.set(node, b"theirs")
        with pytest.raises(WriteConflict, match="meanwhile"):
            session.replace(b"ours", view.version, 5)
        operator.delete(node)
        with pytest.raises(WriteConflict, match="meanwhile"):
            session.replace(b"ours", view.version, 5)
        operator.create(node, b"theirs")
        with pytest.raises(WriteConflict, match="meanwhile"):
            session.create(b"ours", 5)
    finally:
        session.close().join(5)
    assert operator.get(node)[0] == b"theirs"


def test_of_many_writers_one_wins(source: Source) -> None:
    """Of eight concurrent writes at the same version one succeeds, seven are conflicts."""
    version = source.write(b"dc0", None, 5)
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            outcomes.append(source.write(b"dc%d" % number, version, 10))
        except WriteConflict:
            outcomes.append("conflict")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert outcomes.count("conflict") == 7
    found = source.read(5)
    assert isinstance(found, Content)
    assert found.version in outcomes


def test_parents_are_created_only_if_asked(zookeeper: ZooKeeperServer, operator: KazooClient, node: str) -> None:
    """Without the option the missing parent is named; with it, all of them are created."""
    url = f"zookeeper://{zookeeper.address}/deep{node}"
    with pytest.raises(SourceError, match=r"no parent node /deep/test-\d+; create it or set zookeeper-create-parents"):
        open_source(url, {}).write(b"dc1", None, 5)
    open_source(url, {"zookeeper-create-parents": "true"}).write(b"dc1", None, 5)
    assert operator.get(f"/deep{node}")[0] == b"dc1"


def test_a_document_over_the_limit_is_refused_before_it_is_sent(
    source: Source, operator: KazooClient, node: str
) -> None:
    """The largest text that is let through is taken by a real server; a byte more is never sent."""
    version = source.write(b"dc1", None, 5)
    with pytest.raises(SourceError, match=r"the document has 1048576 bytes, ZooKeeper takes \d+ ") as refused:
        source.write(b"x" * 1048576, version, 5)
    most = int(str(refused.value).split(" takes ")[1].split()[0])
    with pytest.raises(SourceError, match=f"has {most + 1} bytes"):
        source.write(b"x" * (most + 1), version, 5)
    assert source.read(5) == Content(b"dc1", version)
    source.write(b"x" * most, version, 5)
    assert len(operator.get(node)[0]) == most
    operator.delete(node)
    source.write(b"y" * most, None, 5)
    assert operator.get(node)[0] == b"y" * most


def test_nodes_are_created_with_the_acl(zookeeper: ZooKeeperServer, operator: KazooClient, node: str) -> None:
    """`zookeeper-acl` is what the node and its new parents get."""
    options = {"zookeeper-create-parents": "true", "zookeeper-acl": "world:anyone:r,auth::cdrwa"}
    options |= {"zookeeper-username": "ops", "zookeeper-password": "secret"}
    open_source(f"zookeeper://{zookeeper.address}{node}", options).write(b"dc1", None, 5)
    # Without ADMIN permission on a node the hash of a password is shown as `x`.
    expected = [ACL(Permissions.READ, Id("world", "anyone")), ACL(Permissions.ALL, Id("digest", "ops:x"))]
    for path in (node, node.rpartition("/")[0]):
        assert operator.get_acls(path)[0] == expected


def test_an_acl_that_zookeeper_refuses_is_named(zookeeper: ZooKeeperServer, node: str) -> None:
    """`auth` without credentials is no ACL."""
    source = open_source(f"zookeeper://{zookeeper.address}{node[:-8]}", {"zookeeper-acl": "auth::cdrwa"})
    with pytest.raises(SourceError, match="refuses the ACL of the new node"):
        source.write(b"dc1", None, 5)


def test_a_write_without_an_answer_may_have_happened(
    zookeeper: ZooKeeperServer, operator: KazooClient, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the network falls silent at the very moment, the message does not claim that nothing was written."""
    operator.create(node, b"dc1", makepath=True)
    with TcpProxy(zookeeper.port) as proxy:
        source = open_source(f"zookeeper://127.0.0.1:{proxy.port}{node}", {})
        found = source.read(5)
        assert isinstance(found, Content)
        replace = ZooKeeperSession.replace

        def into_silence(session: ZooKeeperSession, text: bytes, version: int, timeout: float) -> int:
            proxy.drop()
            return replace(session, text, version, timeout)

        monkeypatch.setattr(ZooKeeperSession, "replace", into_silence)
        with pytest.raises(SourceError, match="it is not known whether it was written: read it again"):
            source.write(b"dc2", found.version, 2)


@pytest.mark.timed
def test_without_a_server_reading_and_writing_end_in_time() -> None:
    """Both say which host refused, and take no longer than they may."""
    port = free_port()
    source = open_source(f"zookeeper://127.0.0.1:{port}/routing", {})
    for call in (lambda: source.read(1.0), lambda: source.write(b"dc1", None, 1.0)):
        began = time.monotonic()
        with pytest.raises(SourceError, match=f"127.0.0.1:{port}: Connection refused"):
            call()
        assert time.monotonic() - began < 2.5
