"""Users, passwords, tokens and permissions of a real Nacos that wants a login."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from sidecar.errors import SourceError
from sidecar.sources import open_source
from sidecar.sources.base import Content, Unreachable
from tests.integration.nacos.conftest import Watch
from tests.servers.nacos.server import TOKEN_LIFE, NacosServer, source_url
from tests.waiting import eventually

pytestmark = pytest.mark.nacos

PASSWORD = "a pass/word&with=signs"


@pytest.fixture
def reader(server_with_users: NacosServer, key: str) -> dict[str, str]:
    """Create a user that may only read, in the public namespace."""
    server_with_users.operator.create_user(key, PASSWORD, f"role-{key}", action="r")
    return {"nacos-username": key, "nacos-password": PASSWORD}


def test_a_user_that_may_only_read_is_enough_to_watch(
    server_with_users: NacosServer, key: str, reader: dict[str, str], watch: Watch
) -> None:
    """The sidecar's user needs no write permission: reads and the push work without it."""
    server_with_users.operator.publish(key, "dc1")
    watched = watch(source_url([server_with_users], key), reader)
    watched.is_told_of(1)
    server_with_users.operator.publish(key, "dc2")
    watched.reaches("dc2")


def test_tokens_are_renewed_before_they_expire(
    server_with_users: NacosServer, key: str, reader: dict[str, str], watch: Watch
) -> None:
    """Reads over more than two lives of a token, and a change after them: not one read fails."""
    server_with_users.operator.publish(key, "dc0")
    watched = watch(source_url([server_with_users], key), reader)
    watched.is_told_of(1)
    time.sleep(2.2 * TOKEN_LIFE)
    read = len(watched.reports)
    eventually(lambda: len(watched.reports) > max(read, 6), "a read with the third token")
    server_with_users.operator.publish(key, "dc1")
    watched.reaches("dc1")
    assert not watched.was_away()


def test_a_wrong_password_is_said_and_healed_by_its_file(
    server_with_users: NacosServer, key: str, reader: dict[str, str], watch: Watch, tmp_path: Path
) -> None:
    """UNREACHABLE names the user, not the password; once the file holds the right one, the text is there."""
    secret = tmp_path / "password"
    secret.write_text("wrong-secret\n")
    server_with_users.operator.publish(key, "dc1")
    options = {"nacos-username": reader["nacos-username"], "nacos-password-file": str(secret)}
    watched = watch(source_url([server_with_users], key), options)
    report = watched.becomes(Unreachable)
    assert isinstance(report, Unreachable)
    assert key in report.reason
    assert "wrong-secret" not in report.reason
    secret.write_text(PASSWORD + "\n")
    watched.reaches("dc1")


def test_a_password_changed_on_the_server_is_followed_in_the_file(
    server_with_users: NacosServer, key: str, reader: dict[str, str], watch: Watch, tmp_path: Path
) -> None:
    """Server and file get a new password while running: the next login uses it."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    server_with_users.operator.publish(key, "dc1")
    options = {"nacos-username": reader["nacos-username"], "nacos-password-file": str(secret)}
    watched = watch(source_url([server_with_users], key), options)
    watched.reaches("dc1")
    server_with_users.operator.change_password(key, "another one")
    watched.becomes(Unreachable, within=60)
    secret.write_text("another one")
    server_with_users.operator.publish(key, "dc2")
    watched.reaches("dc2")


def test_a_missing_permission_is_said(server_with_users: NacosServer, key: str, reader: dict[str, str]) -> None:
    """A user without the right for the namespace learns which user was refused, and that it is a permission."""
    source = open_source(source_url([server_with_users], key, namespace="elsewhere"), reader)
    with pytest.raises(SourceError, match=rf"{key}.*permission"):
        source.read(5)


def test_no_credentials_where_they_are_wanted_is_said(server_with_users: NacosServer, key: str) -> None:
    """Without credentials the message says which settings to make."""
    with pytest.raises(SourceError, match="DC_SIDECAR_NACOS_USERNAME"):
        open_source(source_url([server_with_users], key), {}).read(5)


def test_neither_password_nor_token_is_logged(
    server_with_users: NacosServer, key: str, reader: dict[str, str], watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the most talkative level, of whatever logger, no secret appears, nor in what the source says of itself."""
    caplog.set_level(logging.DEBUG)
    server_with_users.operator.publish(key, "dc1")
    watched = watch(source_url([server_with_users], key), reader)
    watched.is_told_of(1)
    server_with_users.operator.publish(key, "dc2")
    watched.reaches("dc2")
    assert isinstance(watched.last, Content)
    token = watched.source._watcher._api.token  # type: ignore[attr-defined]
    assert token
    for secret in (PASSWORD, token, "signs"):
        assert secret not in caplog.text
        assert secret not in watched.source.url
        assert secret not in repr(watched.source)
