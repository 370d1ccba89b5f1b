"""Watching a key of Apollo while nothing breaks."""

from __future__ import annotations

import time

import pytest

from sidecar.errors import SourceError
from sidecar.sources import open_source
from sidecar.sources.base import Content, Gray, Missing, Unreachable
from tests.integration.apollo.conftest import Watch
from tests.servers.apollo.server import APP, ApolloServer, portal_options, source_url
from tests.waiting import eventually


def test_reports_the_text_as_it_was_released(apollo: ApolloServer, namespace: str, watch: Watch) -> None:
    """What comes out is the very text, its version the cluster and the release's own key; edits alone do nothing."""
    text = "default: {active: dc1}  # 数据中心\n"
    apollo.operator.release(namespace, text)
    apollo.operator.edit(namespace, "dc9")
    watched = watch(source_url(apollo, namespace=namespace))
    watched.reaches(text)
    assert isinstance(watched.last, Content)
    cluster, _, key = watched.last.version.partition("/")
    assert (cluster, len(key)) == ("default", len("20261127120208-5307fdd600000001"))
    apollo.operator.publish(namespace)
    watched.reaches("dc9")


@pytest.mark.timed
def test_a_release_arrives_by_the_poll_and_not_by_the_rhythm(
    apollo: ApolloServer, namespace: str, watch: Watch
) -> None:
    """Changes, and a rollback to an earlier text, arrive much sooner than the next read of the rhythm of 5 s."""
    apollo.operator.release(namespace, "dc0")
    watched = watch(source_url(apollo, namespace=namespace))
    watched.reaches("dc0")
    delays, newest = [], list[int]()
    for number in range(1, 11):
        released = time.monotonic()
        newest.append(apollo.operator.release(namespace, f"dc{number}"))
        delays.append(watched.reaches(f"dc{number}") - released)
    assert sorted(delays)[5] < 0.5, delays
    watched.seen.clear()
    released = time.monotonic()
    apollo.operator.roll_back(newest[-1])
    assert watched.reaches("dc9") - released < 1.0


def test_a_burst_ends_on_the_last_text(apollo: ApolloServer, namespace: str, watch: Watch) -> None:
    """Of 200 releases back to back some may be skipped, never the last, and none comes after a later one."""
    apollo.operator.release(namespace, "dc0")
    watched = watch(source_url(apollo, namespace=namespace))
    watched.reaches("dc0")
    for number in range(1, 201):
        apollo.operator.release(namespace, f"dc{number}")
    watched.reaches("dc200")
    numbers = [int(text[2:]) for text in watched.texts()]
    assert numbers == sorted(numbers)


def test_a_key_of_properties(apollo: ApolloServer, watch: Watch) -> None:
    """`#key` reads that key; a release that changes another key reports the same text, a release without it none."""
    space = "application-of-properties"
    apollo.operator.release(space, "dc1", key="routing")
    watched = watch(source_url(apollo, namespace=space) + "#routing")
    watched.reaches("dc1")
    apollo.operator.release(space, "30s", key="timeout")
    apollo.operator.release(space, "dc2", key="routing")
    watched.reaches("dc2")
    apollo.operator.release(space, " ", key="routing")
    missing = watched.becomes(Missing)
    assert isinstance(missing, Missing)
    assert "key routing of namespace" in missing.reason


def test_what_is_not_released_is_missing_until_it_is(apollo: ApolloServer, namespace: str, watch: Watch) -> None:
    """An unknown namespace and a deleted one are MISSING; the first release, and one after a deletion, are followed."""
    watched = watch(source_url(apollo, namespace=namespace))
    missing = watched.becomes(Missing)
    assert isinstance(missing, Missing)
    assert "has no release in cluster default" in missing.reason
    apollo.operator.release(namespace, "dc1")
    watched.reaches("dc1")
    apollo.operator.delete(namespace)
    watched.becomes(Missing)
    apollo.operator.release(namespace, "dc2")
    watched.reaches("dc2")


def test_clusters_shadow_each_other_in_apollos_order(apollo: ApolloServer, namespace: str, watch: Watch) -> None:
    """The URL's cluster, that of the data center, the default one; the version shows which one is in force."""
    apollo.operator.release(namespace, "dc0")
    url = source_url(apollo, namespace=namespace, cluster="blue")
    watched = watch(url, {"apollo-data-center": "dc1"})
    for cluster in ("default", "dc1", "blue"):
        text = f"of-{cluster}"
        apollo.operator.within(cluster).release(namespace, text)
        watched.reaches(text)
        assert isinstance(watched.last, Content)
        assert watched.last.version.startswith(f"{cluster}/")
        assert watched.last.gray is None


def test_public_and_linked_namespaces(apollo: ApolloServer, watch: Watch) -> None:
    """A public namespace of another application is followed, and what the own application links to it overrides it."""
    space = "TEST1.routing.yaml"
    apollo.operator.settle("settings", publics={space: "platform"})
    owner = apollo.operator.within("default", app="platform")
    owner.release(space, "public")
    watched = watch(source_url(apollo, namespace=space))
    watched.reaches("public")
    owner.release(space, "public-2")
    watched.reaches("public-2")
    apollo.operator.release(space, "linked")
    watched.reaches("linked")
    assert isinstance(watched.last, Content)
    assert "+" in watched.last.version


@pytest.mark.parametrize("rule", ["ip", "label"])
def test_a_gray_release_is_served_and_named(apollo: ApolloServer, namespace: str, watch: Watch, rule: str) -> None:
    """Who the rule names gets the gray text, says so, and returns at its end; the others keep the ordinary one."""
    apollo.operator.release(namespace, "dc1")
    url = source_url(apollo, namespace=namespace)
    named = watch(url, {f"apollo-{rule}": "canary-7"})
    other = watch(url)
    named.reaches("dc1")
    other.reaches("dc1")
    apollo.operator.release_gray(namespace, "dc2", **{f"{rule}s": "canary-7"})
    named.reaches("dc2")
    assert isinstance(named.last, Content)
    assert named.last.gray is not None
    assert named.last.version.startswith(f"{named.last.gray.rule}/")
    source = open_source(url, portal_options(apollo))
    assert source.gray(5) == Gray(named.last.gray.rule, ("canary-7",))
    ordinary = source.read(5)
    assert isinstance(ordinary, Content)
    assert ordinary.text == b"dc1"
    apollo.operator.end_gray(namespace)
    named.reaches("dc1")
    assert isinstance(named.last, Content)
    assert named.last.gray is None
    assert other.texts() == ["dc1"]
    assert source.gray(5) is None


def test_without_the_portal_a_gray_machine_cannot_read_the_ordinary_release(
    apollo: ApolloServer, namespace: str
) -> None:
    """The gray text is never taken for the ordinary one: the error says what to configure."""
    apollo.operator.release(namespace, "dc1")
    apollo.operator.release_gray(namespace, "dc2", ips="*")
    with pytest.raises(SourceError, match="set apollo-portal"):
        open_source(source_url(apollo, namespace=namespace), {}).read(5)


@pytest.mark.timed
def test_a_service_that_caches_answers_with_what_it_announced(
    apollo: ApolloServer, namespace: str, watch: Watch
) -> None:
    """The messages of a notification go back with the read: without them this service answers what it had cached."""
    apollo.operator.settle("settings", cache=True)
    try:
        apollo.operator.release(namespace, "dc0")
        watched = watch(source_url(apollo, namespace=namespace))
        watched.reaches("dc0")
        for number in range(1, 6):
            released = time.monotonic()
            apollo.operator.release(namespace, f"dc{number}")
            assert watched.reaches(f"dc{number}") - released < 2.0
    finally:
        apollo.operator.settle("settings", cache=False)


def test_access_keys(apollo: ApolloServer, namespace: str, watch: Watch) -> None:
    """Signed requests are served; without a key, and with a wrong one, the reason says what to do."""
    operator = apollo.operator.within("default", app="signed")
    operator.release(namespace, "dc1")
    url = source_url(apollo, namespace=namespace, app="signed")
    early = watch(url)
    early.reaches("dc1")
    apollo.operator.settle("settings", accessKeys={"signed": "s3cr3t"})
    try:
        assert "set DC_SIDECAR_APOLLO_ACCESS_KEY_FILE" in _reason(early.becomes(Unreachable))
        watched = watch(url, {"apollo-access-key": "s3cr3t"})
        watched.reaches("dc1")
        operator.release(namespace, "dc2")
        watched.reaches("dc2")
        wrong = watch(url, {"apollo-access-key": "guess"})
        assert "the access key is not one of application signed" in _reason(wrong.becomes(Unreachable))
        assert not watched.was_away()
    finally:
        apollo.operator.settle("settings", accessKeys={})
    early.reaches("dc2")


def test_a_clock_that_is_off_is_named(
    apollo: ApolloServer, namespace: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature of another minute is refused: the reason has the skew and the remedy."""
    apollo.operator.settle("settings", accessKeys={APP: "s3cr3t"})
    try:
        ahead = time.time() + 120.0
        monkeypatch.setattr("sidecar.sources.apollo.web.time.time_ns", lambda: round(ahead * 1e9))
        monkeypatch.setattr("sidecar.sources.apollo.web.time.time", lambda: ahead)
        watched = watch(source_url(apollo, namespace=namespace), {"apollo-access-key": "s3cr3t"})
        reason = _reason(watched.becomes(Unreachable))
        assert "ahead of the server's" in reason
        assert "synchronize the clock" in reason
    finally:
        monkeypatch.undo()
        apollo.operator.settle("settings", accessKeys={})
    eventually(lambda: isinstance(watched.last, Missing), "requests without a signature to be taken")


def _reason(report: object) -> str:
    assert isinstance(report, Unreachable)
    return report.reason
