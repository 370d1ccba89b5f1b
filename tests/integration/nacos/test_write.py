"""Reading once, publishing with compare-and-set, and the history, on a real Nacos."""

from __future__ import annotations

import time

import pytest

from sidecar.errors import SourceError, WriteConflict
from sidecar.sources import open_source
from sidecar.sources.base import Content, Gray, Missing
from sidecar.sources.nacos import NacosSource
from sidecar.sources.nacos.address import client_address
from sidecar.sources.nacos.api import md5
from tests.integration.watched import WatchedSource
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.process import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.nacos

YAML = "default: {active: dc1}\n"


@pytest.fixture
def source(server: NacosServer, key: str) -> NacosSource:
    """Open the key, without watching it."""
    opened = open_source(source_url([server], key), {})
    assert isinstance(opened, NacosSource)
    return opened


def _holds(source: NacosSource, text: str) -> Content:
    def content() -> Content | None:
        found = source.read(5)
        return found if isinstance(found, Content) and found.text == text.encode() else None

    found = eventually(content, repr(text))
    assert found is not None
    return found


def test_a_key_is_created_replaced_and_read_back(source: NacosSource) -> None:
    """What `write` returns is the version that `read` returns next."""
    assert isinstance(source.read(5), Missing)
    first = source.write(YAML.encode(), None, 5)
    assert _holds(source, YAML).version == first
    second = source.write(b"dc2", first, 5)
    assert _holds(source, "dc2").version == second


def test_creating_what_exists_is_a_conflict(source: NacosSource, server: NacosServer, key: str) -> None:
    """Nacos itself would overwrite: its compare-and-set does not guard a creation."""
    server.operator.publish(key, "dc1")
    with pytest.raises(WriteConflict, match="exists already"):
        source.write(b"dc2", None, 5)
    assert server.operator.stored(key)["content"] == "dc1"


def test_replacing_what_somebody_else_changed_is_a_conflict(source: NacosSource, server: NacosServer, key: str) -> None:
    """Nothing is written on top of a version that was not read."""
    version = source.write(b"dc1", None, 5)
    server.operator.publish(key, "dc3")
    with pytest.raises(WriteConflict, match="changed it"):
        source.write(b"dc2", version, 5)
    assert server.operator.stored(key)["content"] == "dc3"


def test_replacing_what_was_deleted_is_a_conflict(source: NacosSource, server: NacosServer, key: str) -> None:
    """A deleted key does not come back by a write that meant to change it."""
    version = source.write(b"dc1", None, 5)
    server.operator.delete(key)
    with pytest.raises(WriteConflict, match="does not exist any more"):
        source.write(b"dc2", version, 5)
    eventually(lambda: isinstance(source.read(5), Missing), "the key to stay away")


@pytest.mark.parametrize(("text", "kind"), [("dc1", "text"), (YAML, "yaml"), ('{"default": "dc1"}', "json")])
def test_the_console_highlights_what_was_published(
    source: NacosSource, server: NacosServer, key: str, text: str, kind: str
) -> None:
    """The type is that of the text."""
    source.write(text.encode(), None, 5)
    assert server.operator.stored(key)["type"] == kind


def test_description_application_and_tags_survive_a_write(source: NacosSource, server: NacosServer, key: str) -> None:
    """What the operator noted beside the key in the console is not erased by the command line."""
    server.operator.publish(key, "dc1", desc="where jobs run", appName="scheduler", config_tags="routing,prod")
    source.write(b"dc2", _holds(source, "dc1").version, 5)
    stored = server.operator.stored(key)
    assert (stored["desc"], stored["appName"]) == ("where jobs run", "scheduler")
    assert set(stored["configTags"].split(",")) == {"routing", "prod"}


def test_a_blank_text_is_refused(source: NacosSource) -> None:
    """Nacos takes no blank text, and the message says what to do instead."""
    with pytest.raises(SourceError, match="blank"):
        source.write(b" \n", None, 5)


def test_the_history_tells_what_each_change_put_in_force(source: NacosSource, server: NacosServer, key: str) -> None:
    """Newest first: the deletion, two changes and the creation, each with its text, address and user."""
    first = source.write(b"dc1", None, 5)
    server.operator.publish(key, "dc2", src_user="lin")
    source.write(b"dc3", _holds(source, "dc2").version, 5)
    server.operator.delete(key)
    entries = source.history.entries(10, 5)
    assert [entry.text for entry in entries] == [None, b"dc3", b"dc2", b"dc1"]
    assert (entries[0].version, entries[3].version) == (None, first)
    assert entries[2].author.user == "lin"
    assert entries[3].author.user
    assert {entry.author.address for entry in entries} == {"127.0.0.1"}
    assert [entry.at_ns for entry in entries] == sorted((entry.at_ns for entry in entries), reverse=True)
    assert abs(entries[0].at_ns / 1e9 - time.time()) < 60
    assert entries[1].version is not None
    assert source.history.author(entries[1].version, 5) == entries[1].author
    assert source.history.author(first, 5) is None


def test_with_users_the_history_names_who_logged_in(server_with_users: NacosServer, key: str) -> None:
    """The operator is the one that the server knows, whatever the machine's user is called."""
    options = {"nacos-username": "nacos", "nacos-password": "nacos"}
    source = open_source(source_url([server_with_users], key), options)
    assert isinstance(source, NacosSource)
    source.write(b"dc1", None, 5)
    assert [entry.author.user for entry in source.history.entries(10, 5)] == ["nacos"]


def test_a_user_that_may_only_read_cannot_write(server_with_users: NacosServer, key: str) -> None:
    """The refusal says who was refused."""
    server_with_users.operator.create_user(key, "secret", f"role-{key}", action="r")
    source = open_source(source_url([server_with_users], key), {"nacos-username": key, "nacos-password": "secret"})
    with pytest.raises(SourceError, match=key):
        source.write(b"dc1", None, 5)


def test_under_a_gray_version_here_the_ordinary_one_is_read_and_written(
    source: NacosSource, server: NacosServer, key: str
) -> None:
    """A gray for this machine neither hides the ordinary version from the operator nor stands in its way."""
    server.operator.publish(key, "dc1")
    assert source.gray(5) is None
    server.operator.publish(key, "dc2", gray_for=f"{client_address()},198.51.100.7")
    watched = WatchedSource(source)
    try:
        watched.reaches("dc2")
    finally:
        source.stop(10)
    assert isinstance(watched.last, Content)
    gray = Gray("beta", (client_address(), "198.51.100.7"))
    assert (watched.last.gray, source.gray(5)) == (gray, gray)
    ordinary = source.read(5)
    assert ordinary == Content(b"dc1", md5(b"dc1"))
    assert source.write(b"dc3", ordinary.version, 5) == md5(b"dc3")
    assert source.read(5) == Content(b"dc3", md5(b"dc3"))
    assert server.operator.stored(key)["content"] == "dc3"
    server.operator.end_gray(key)
    eventually(lambda: source.gray(5) is None, "the end of the gray version")


def test_nobody_there_is_an_error_within_the_time(key: str) -> None:
    """The message names the server and what to look at."""
    port = free_port()
    source = open_source(f"nacos://127.0.0.1:{port}/dispatch/{key}", {})
    with pytest.raises(SourceError, match=f"127.0.0.1:{port} refuses the connection"):
        source.read(2)
