"""Watching a key of a real Nacos while nothing breaks."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.sources.base import Content, Gray, Missing
from sidecar.sources.nacos import NacosSource
from sidecar.sources.nacos import push as push_module
from sidecar.sources.nacos.address import client_address
from sidecar.sources.nacos.api import md5
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.url import parse
from tests.integration.nacos.conftest import Watch
from tests.integration.nacos.watched import Watched
from tests.servers.nacos.server import NacosServer, source_url
from tests.waiting import eventually

pytestmark = pytest.mark.nacos


def test_reports_the_text_as_it_stands_with_nacos_own_digest(server: NacosServer, key: str, watch: Watch) -> None:
    """What comes out is the very text that was published, its version the MD5 that Nacos keeps."""
    text = "default: {active: dc1}  # 数据中心\n"
    server.operator.publish(key, text)
    watched = watch(source_url([server], key))
    watched.reaches(text)
    assert isinstance(watched.last, Content)
    assert watched.last.version == server.operator.stored(key)["md5"]


@pytest.mark.timed
def test_a_publish_arrives_by_push_and_not_by_the_rhythm(server: NacosServer, key: str, watch: Watch) -> None:
    """Ten changes, one after the other, each arrive much sooner than the next read of the rhythm of 2 s."""
    server.operator.publish(key, "dc0")
    watched = watch(source_url([server], key))
    watched.is_told_of(1)
    delays = []
    for number in range(1, 11):
        published = time.monotonic()
        server.operator.publish(key, f"dc{number}")
        delays.append(watched.reaches(f"dc{number}") - published)
    assert sorted(delays)[5] < 0.5, delays


@pytest.mark.parametrize("namespace", ["", "public", "own"])
def test_nacos_3_pushes_in_every_namespace(nacos3: NacosServer, key: str, namespace: str) -> None:
    """A publish is pushed under both ids of the public namespace (nacos-sdk-python#238) and in another one."""
    named = key if namespace == "own" else namespace
    if namespace == "own":
        nacos3.operator.create_namespace(named)
    operator = nacos3.operator.within(named)
    operator.publish(key, "dc0")
    target = replace(parse(source_url([nacos3], key)), namespace=named)
    with Watched(NacosSource(target, NacosCredentials({}), None)) as watched:
        for number in range(1, 6):
            watched.is_told_of(number)
            operator.publish(key, f"dc{number}")
        watched.is_told_of(6)


@pytest.mark.timed
def test_reads_are_rare_while_push_is_proved_and_find_a_lost_one(
    nacos3: NacosServer, key: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a proved push the next read follows after 7.2 to 8 s, not 2; it finds the change whose push is lost."""
    monkeypatch.setattr(push_module, "PROVED_AFTER_S", 1.0)
    nacos3.operator.publish(key, "dc1")
    watched = watch(source_url([nacos3], key), {"nacos-reread": "8"})
    watched.is_told_of(1)
    push = watched.source._push  # type: ignore[attr-defined]
    version = md5(b"dc1")
    eventually(lambda: push.is_proved(version), "proof of the push", within=30)
    reports = len(watched.reports)
    eventually(lambda: len(watched.reports) > reports, "the read after the proof", within=10)
    proved_since, reports = time.monotonic(), len(watched.reports)
    push._session._rpc().server_request_handler_mapping.clear()
    nacos3.operator.publish(key, "dc2")
    assert 4.0 < watched.reaches("dc2", within=12) - proved_since < 10.0
    assert len(watched.reports) == reports + 1


@pytest.mark.timed
def test_going_back_and_forth_between_two_texts_is_as_quick(server: NacosServer, key: str, watch: Watch) -> None:
    """An earlier text that the member goes back to is confirmed by the push itself, without another wait."""
    server.operator.publish(key, "dc1")
    watched = watch(source_url([server], key))
    watched.is_told_of(1)
    watched.reaches("dc1")
    delays = []
    for text in ["dc2", "dc1"] * 5:
        watched.seen.clear()
        published = time.monotonic()
        server.operator.publish(key, text)
        delays.append(watched.reaches(text) - published)
    assert watched.texts() == ["dc1", *["dc2", "dc1"] * 5]
    assert sorted(delays)[5] < 0.3, delays


@pytest.mark.timed
def test_a_burst_ends_on_the_last_text(server: NacosServer, key: str, watch: Watch) -> None:
    """Of 100 publishes back to back some may be skipped, never the last, and none comes after a later one."""
    server.operator.publish(key, "start")
    watched = watch(source_url([server], key))
    watched.is_told_of(1)
    for number in range(100):
        server.operator.publish(key, f"burst-{number}")
    watched.reaches("burst-99", within=3)
    numbers = [int(text.split("-")[1]) for text in watched.texts()[1:]]
    assert numbers == sorted(numbers)


def test_freshness_is_shown_while_nothing_changes(server: NacosServer, key: str, watch: Watch) -> None:
    """The same text is reported again and again, which is how its freshness is known."""
    server.operator.publish(key, "dc1")
    watched = watch(source_url([server], key))
    eventually(lambda: len(watched.reports) >= 3, "three reports of the same text", within=8)
    assert watched.texts() == ["dc1"]


def test_a_missing_key_is_reported_and_its_creation_noticed(server: NacosServer, key: str, watch: Watch) -> None:
    """MISSING at the start, in a namespace that does not exist; both are created later and found."""
    watched = watch(source_url([server], key, namespace=key))
    report = watched.becomes(Missing)
    assert isinstance(report, Missing)
    assert key in report.reason
    server.operator.create_namespace(key)
    server.operator.within(key).publish(key, "dc3")
    watched.reaches("dc3")


def test_a_deleted_key_is_missing_and_its_re_creation_is_back(server: NacosServer, key: str, watch: Watch) -> None:
    """Deleted: MISSING; created again with the same text, which was in force before: back."""
    server.operator.publish(key, "dc1")
    watched = watch(source_url([server], key))
    watched.reaches("dc1")
    server.operator.delete(key)
    watched.becomes(Missing)
    server.operator.publish(key, "dc1")
    watched.becomes(Content)


@pytest.mark.timed
def test_a_gray_version_for_our_address_reaches_us_and_ends(server: NacosServer, key: str, watch: Watch) -> None:
    """A gray for the address that the console lists is in force, pins us, says so, and gives way at its end."""
    server.operator.publish(key, "dc1")
    watched = watch(source_url([server], key))
    watched.is_told_of(1)
    assert set(server.operator.listeners(key)) == {client_address()}
    server.operator.publish(key, "dc9", gray_for="198.51.100.7")
    server.operator.publish(key, "dc2", gray_for=client_address())
    watched.reaches("dc2")
    assert isinstance(watched.last, Content)
    assert watched.last.gray == Gray("beta", (client_address(),))
    server.operator.publish(key, "dc3")
    with pytest.raises(AssertionError):
        watched.reaches("dc3", within=3)
    server.operator.end_gray(key)
    watched.reaches("dc3")
    assert watched.last.gray is None
    assert watched.texts() == ["dc1", "dc2", "dc3"]


def test_nothing_is_written_to_the_home_folder_or_below(
    server: NacosServer, key: str, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's caches and log files do not come about, wherever it would put them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    server.operator.publish(key, "dc1")
    watched = watch(source_url([server], key))
    watched.is_told_of(1)
    server.operator.publish(key, "dc2")
    watched.reaches("dc2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timed
def test_after_stop_nothing_is_reported(server: NacosServer, key: str, watch: Watch) -> None:
    """Stop ends the threads at once, and a later change goes unreported."""
    server.operator.publish(key, "dc1")
    watched = watch(source_url([server], key))
    watched.is_told_of(1)
    began = time.monotonic()
    watched.source.stop(5)
    assert time.monotonic() - began < 3
    reports = len(watched.reports)
    server.operator.publish(key, "dc2")
    time.sleep(0.5)
    assert len(watched.reports) == reports
