"""The ZooKeeper source's settings, and which of the nodes that servers show it believes; without a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id, Permissions

from sidecar.errors import ConfigError, NoResponse, SourceError
from sidecar.sources import open_source
from sidecar.sources import zookeeper as zookeeper_module
from sidecar.sources.base import Content, Missing, Report, ResumableSource, Unreachable
from sidecar.sources.zookeeper import watch as watch_module
from sidecar.sources.zookeeper.session import NodeState, ZooKeeperSession
from sidecar.sources.zookeeper.settings import ZooKeeperSettings, parse_acl, read_settings
from sidecar.sources.zookeeper.watch import NodeWatch

URL = "zookeeper://h1:2181,h2:2181/dc-sidecar/routing"


def test_a_url_is_hosts_and_a_path() -> None:
    """Hosts go to kazoo as they are, ports and brackets included; the path begins at the root."""
    settings = read_settings("zookeeper://h1,h2:2182,[::1]:2183/dc%20sidecar/routing", {})
    assert settings.hosts == "h1,h2:2182,[::1]:2183"
    assert settings.path == "/dc sidecar/routing"
    assert settings.url == "zookeeper://h1,h2:2182,[::1]:2183/dc%20sidecar/routing"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("zookeeper:h1/routing", "no path to a node"),
        ("zookeeper://h1:2181", "no path to a node"),
        ("zookeeper://h1:2181/", "no path to a node"),
        ("zookeeper:///routing", "is not a host"),
        ("zookeeper://h1,,h2/routing", "is not a host"),
        ("zookeeper://h1, h2/routing", "is not a host"),
        ("zookeeper://::1:2181/routing", "is not a host"),
        ("zookeeper://h1:/routing", "no port between"),
        ("zookeeper://h1:0/routing", "no port between"),
        ("zookeeper://h1:65536/routing", "no port between"),
        ("zookeeper://h1:²/routing", "no port between"),
        ("zookeeper://h1/a//b", "not the path of a node"),
        ("zookeeper://h1/a/../b", "not the path of a node"),
        ("zookeeper://h1/a/", "not the path of a node"),
        ("zookeeper://h1/a%00b", "not the path of a node"),
        ("zookeeper://h1/zookeeper/quota", "not the path of a node"),
        ("zookeeper://h1/routing?timeout=3", "found '?'"),
        ("zookeeper://h1/routing#x", "found '#'"),
    ],
)
def test_a_wrong_url_is_refused_with_what_is_expected(url: str, message: str) -> None:
    """Each mistake is named, together with the form that is expected."""
    with pytest.raises(ConfigError) as refused:
        open_source(url, {})
    assert message in str(refused.value)
    assert "expected zookeeper://HOST:PORT,HOST:PORT/PATH/TO/NODE" in str(refused.value)


def test_a_node_has_no_history() -> None:
    """ZooKeeper keeps the newest text only, and the source says so."""
    assert open_source(URL, {}).history is None


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    """The message says where they belong; it does not show them."""
    with pytest.raises(ConfigError, match="set zookeeper-username and zookeeper-password-file") as refused:
        open_source("zookeeper://me:s3cret@h1/routing", {})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zookeeper-username": "me"}, "zookeeper-username is set without zookeeper-password"),
        ({"zookeeper-password": "s3cret"}, "zookeeper-password is set without zookeeper-username"),
        ({"zookeeper-sasl-username": "me"}, "zookeeper-sasl-username is set without zookeeper-sasl-password"),
        ({"zookeeper-sasl-mechanism": "GSSAPI"}, "found 'GSSAPI', the one supported is DIGEST-MD5"),
        ({"zookeeper-sasl-mechanism": "DIGEST-MD5"}, "is set without zookeeper-sasl-username"),
        ({"zookeeper-ca": "/nowhere/ca.pem"}, "zookeeper-ca: there is no file '/nowhere/ca.pem'"),
        ({"zookeeper-tls": "perhaps"}, "zookeeper-tls: found 'perhaps', expected true or false"),
        ({"zookeeper-create-parents": "1"}, "zookeeper-create-parents: found '1', expected true or false"),
        ({"zookeeper-acl": "world:anyone"}, "expected SCHEME:ID:RIGHTS"),
        ({"zookeeper-acl": "world::r"}, "expected SCHEME:ID:RIGHTS"),
        ({"zookeeper-acl": "world:anyone:"}, "expected SCHEME:ID:RIGHTS"),
        ({"zookeeper-acl": "world:anyone:r,"}, "found '', expected SCHEME:ID:RIGHTS"),
        ({"zookeeper-acl": "world:anyone:rx"}, "unknown right 'x'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: Mapping[str, str], message: str) -> None:
    """Half a pair, an unknown value or a missing file is an error at the start, without any secret."""
    with pytest.raises(ConfigError) as refused:
        open_source(URL, options)
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    """A key alone proves nothing; a certificate alone may hold its key and means TLS."""
    pem = tmp_path / "both.pem"
    pem.touch()
    with pytest.raises(ConfigError, match="zookeeper-key is set without zookeeper-cert"):
        read_settings(URL, {"zookeeper-key": str(pem)})
    assert read_settings(URL, {"zookeeper-cert": str(pem)}).tls
    assert read_settings(URL, {"zookeeper-tls": "true"}).tls
    assert not read_settings(URL, {}).tls


def test_no_secret_is_shown() -> None:
    """Neither the source's URL nor the settings' `repr` nor the name of the client in messages holds a password."""
    options = {
        "zookeeper-username": "reader",
        "zookeeper-password": "s3cret",
        "zookeeper-sasl-username": "alice",
        "zookeeper-sasl-password": "s3cret too",
    }
    settings = read_settings(URL, options)
    assert settings.digest == ("reader", "s3cret")
    assert settings.identity == "digest user 'reader' and SASL user 'alice'"
    assert "s3cret" not in f"{settings!r} {settings.identity} {open_source(URL, options).url}"


def test_an_acl_is_read_as_zkcli_writes_it() -> None:
    """Schemes, identities with colons of their own, and any order of the letters."""
    assert parse_acl("world:anyone:r, auth::cdrwa,digest:bob:aGFzaA==:wr,ip:10.0.0.0/8:r") == (
        ACL(Permissions.READ, Id("world", "anyone")),
        ACL(Permissions.ALL, Id("auth", "")),
        ACL(Permissions.READ | Permissions.WRITE, Id("digest", "bob:aGFzaA==")),
        ACL(Permissions.READ, Id("ip", "10.0.0.0/8")),
    )


@pytest.mark.parametrize("scheme", ["zookeeper", "zookeeper-sasl"])
def test_nodes_belong_to_who_creates_them_with_credentials(scheme: str, tmp_path: Path) -> None:
    """All may read them, their creator alone may write; without credentials, or as it is set, they are as before."""
    owned = (ACL(Permissions.ALL, Id("auth", "")), ACL(Permissions.READ, Id("world", "anyone")))
    login = {f"{scheme}-username": "ops", f"{scheme}-password": "x"}
    pem = tmp_path / "both.pem"
    pem.touch()
    assert read_settings(URL, login).acl == owned
    assert read_settings(URL, {"zookeeper-cert": str(pem)}).acl == owned
    assert read_settings(URL, {}).acl == tuple(OPEN_ACL_UNSAFE)
    assert read_settings(URL, login | {"zookeeper-acl": "world:anyone:cdrwa"}).acl == tuple(OPEN_ACL_UNSAFE)


class _Servers:
    """A session that shows what a test puts there, in place of one with kazoo."""

    def __init__(self) -> None:
        self.shows: list[NodeState | SourceError] = []
        self.connected = True
        self.terminated = False
        self.problem = ""
        self.synced = 0
        self.started = 0
        self.closed = 0

    def __call__(self, settings: ZooKeeperSettings, changed: threading.Event) -> _Servers:
        del settings, changed
        return self

    def start(self) -> None:
        self.started += 1

    def read_node(self, timeout: float, *, watch: bool = False) -> NodeState:
        assert timeout > 0
        assert watch
        shown = self.shows.pop(0)
        if isinstance(shown, SourceError):
            raise shown
        return shown

    def sync(self, timeout: float) -> None:
        assert timeout > 0
        self.synced += 1

    def close(self) -> threading.Thread:
        self.closed += 1
        thread = threading.Thread()
        thread.start()
        return thread


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> _Servers:
    """Put servers of the test in place of real ones."""
    servers = _Servers()
    monkeypatch.setattr(watch_module, "ZooKeeperSession", servers)
    return servers


@pytest.fixture
def clock() -> _Clock:
    """Let the test say what time it is."""
    return _Clock()


def _watch(reports: list[Report], clock: Callable[[], float] = time.monotonic, *, known_mzxid: int = 0) -> NodeWatch:
    settings = read_settings("zookeeper://h1/routing", {})
    return NodeWatch(settings, reports.append, known_mzxid=known_mzxid, clock=clock)


def _written(text: bytes, mzxid: int, seen: int) -> NodeState:
    return NodeState(text, mzxid=mzxid, version=0, zxid=seen)


def test_a_lagging_server_brings_nothing_back(servers: _Servers) -> None:
    """An older node, or none where one was seen, is read again after a sync; only a node as new is reported."""
    reports: list[Report] = []
    watch = _watch(reports)
    servers.shows = [_written(b"dc2", 20, 25), _written(b"dc1", 10, 15), _written(b"dc2", 20, 26)]
    watch._poll()
    watch._poll()
    assert reports == [Content(b"dc2", "0x14")] * 2
    assert servers.synced == 1
    servers.shows = [NodeState(None, 0, 0, 19), _written(b"dc3", 30, 30)]
    watch._poll()
    assert reports[2:] == [Content(b"dc3", "0x1e")]
    assert servers.synced == 2


def test_a_lagging_server_brings_nothing_back_after_a_restart(servers: _Servers) -> None:
    """A server without the snapshot's transaction is read again after a sync, with an older node or without any."""
    for old in (_written(b"dc1", 10, 15), NodeState(None, 0, 0, 15)):
        reports: list[Report] = []
        watch = _watch(reports, known_mzxid=20)
        servers.shows = [old, _written(b"dc2", 20, 26)]
        watch._poll()
        assert reports == [Content(b"dc2", "0x14")]
    assert servers.synced == 2


@pytest.mark.parametrize(("versions", "known"), [(["0xa", "0x14"], 20), ([], 0), (["no mzxid"], 0)])
def test_the_newest_version_of_before_is_what_a_server_must_have(
    monkeypatch: pytest.MonkeyPatch, versions: list[str], known: int
) -> None:
    """The source takes the last version of its snapshot, and ignores what is none."""
    made: list[int] = []

    class _Watch(NodeWatch):
        def __init__(self, *_: object, known_mzxid: int) -> None:
            made.append(known_mzxid)

        def start(self) -> None:
            pass

    monkeypatch.setattr(zookeeper_module, "NodeWatch", _Watch)
    source = open_source(URL, {})
    assert isinstance(source, ResumableSource)
    source.resume(versions)
    source.start(lambda _: None)
    assert made == [known]


def test_a_deleted_document_is_not_brought_back(servers: _Servers) -> None:
    """A server that has not seen the deletion yet is not believed, though its document is the newest there was."""
    reports: list[Report] = []
    watch = _watch(reports)
    servers.shows = [
        _written(b"dc1", 10, 10),
        NodeState(None, 0, 0, 12),
        _written(b"dc1", 10, 11),
        NodeState(None, 0, 0, 12),
    ]
    for _ in range(3):
        watch._poll()
    assert [type(report) for report in reports] == [Content, Missing, Missing]


def test_an_older_write_is_not_believed_whatever_the_server_says_it_knows(servers: _Servers) -> None:
    """A node whose mzxid is older than one seen is behind, even where the server's newest transaction is not."""
    reports: list[Report] = []
    watch = _watch(reports)
    servers.shows = [_written(b"dc2", 20, 20), _written(b"dc1", 10, 21), _written(b"dc2", 20, 21)]
    watch._poll()
    watch._poll()
    assert reports == [Content(b"dc2", "0x14")] * 2


def test_a_server_that_lags_after_a_sync_is_doubted_then_believed(
    servers: _Servers, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """For fifteen seconds a lagging server is reported as such; then its data count as restored, which is logged."""
    reports: list[Report] = []
    watch = _watch(reports, clock)
    servers.shows = [_written(b"dc2", 20, 25)]
    watch._poll()
    for _ in range(3):
        servers.shows = [_written(b"dc1", 4, 5)] * 2
        watch._poll()
        clock.now += 5
    assert [type(report) for report in reports] == [Content, Unreachable]
    assert "lags behind what was already seen (transaction 0x5 after 0x19)" in str(reports[1])
    servers.shows = [_written(b"dc1", 4, 5)] * 2
    watch._poll()
    assert reports[2:] == [Content(b"dc1", "0x4")]
    assert "data went back" in caplog.text
    servers.shows = [_written(b"dc3", 6, 6)]
    watch._poll()
    assert reports[3:] == [Content(b"dc3", "0x6")]


def test_the_same_trouble_is_told_once(servers: _Servers) -> None:
    """`Unreachable` comes when the reason changes, contents each time: that is how freshness is known."""
    reports: list[Report] = []
    watch = _watch(reports)
    servers.shows = [NoResponse("slow"), NoResponse("slow"), _written(b"dc1", 1, 1), _written(b"dc1", 1, 2)]
    for _ in range(4):
        watch._poll()
    servers.connected, servers.problem = False, "refused"
    watch._poll()
    watch._poll()
    assert reports == [Unreachable("slow"), *[Content(b"dc1", "0x1")] * 2, Unreachable("refused")]


def test_a_deaf_client_is_replaced(servers: _Servers) -> None:
    """Three reads without a response over an open connection are enough; refusals are responses."""
    watch = _watch([])
    servers.shows = [SourceError("no right")] * 5
    for _ in range(5):
        watch._poll()
    assert (servers.closed, servers.started) == (0, 0)
    servers.shows = [NoResponse("silent")] * 3
    for _ in range(3):
        watch._poll()
    assert (servers.closed, servers.started) == (1, 1)


def test_a_client_that_ended_is_replaced_without_haste(servers: _Servers, clock: _Clock) -> None:
    """However often it is woken: after 0.5, 1, 2 and then every 3 s; at once again after an answer."""
    watch = _watch([], clock)
    servers.connected, servers.terminated, servers.problem = False, True, "refused"
    replaced = []
    for _ in range(104):
        before = servers.started
        pause = watch._poll()
        assert 0 < pause <= 2
        if servers.started > before:
            replaced.append(clock.now)
        clock.now += 0.125
    pauses = [after - before for before, after in pairwise([1000.0, *replaced])]
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    servers.connected, servers.shows = True, [_written(b"dc1", 1, 1)]
    watch._poll()
    assert watch._backoff.pause_s == 0.5


def test_a_client_without_a_connection_is_replaced_after_a_while(servers: _Servers, clock: _Clock) -> None:
    """After twenty seconds without a connection, and no more often: no server may accept its session any more."""
    watch = _watch([], clock)
    servers.connected = False
    for _ in range(65):
        watch._poll()
        clock.now += 1
    assert servers.started == 3


def test_nothing_ends_the_watching(servers: _Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is logged, and the next read comes."""
    monkeypatch.setattr(watch_module, "_POLL_S", 0.01)
    told = threading.Event()
    reports: list[Report] = []

    def deliver(report: Report) -> None:
        reports.append(report)
        told.set()

    watch = NodeWatch(read_settings("zookeeper://h1/routing", {}), deliver)
    # Nothing to show is an IndexError.
    watch.start()
    servers.shows.append(_written(b"dc1", 1, 1))
    assert told.wait(5)
    watch.stop(5)
    assert reports == [Content(b"dc1", "0x1")]
    assert servers.closed == 1


def test_a_text_that_zookeeper_would_refuse_is_not_sent() -> None:
    """The bound holds for creating and replacing, before there is any connection."""
    session = ZooKeeperSession(read_settings("zookeeper://h1/routing", {}), threading.Event())
    with pytest.raises(SourceError, match="the document has 1048576 bytes, ZooKeeper takes"):
        session.create(b"x" * (1 << 20), 1)
    with pytest.raises(SourceError, match="the document has 1048576 bytes, ZooKeeper takes"):
        session.replace(b"x" * (1 << 20), 0, 1)
