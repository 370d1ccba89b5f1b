"""Releasing through the open API: notes, conflicts, locks, limits, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import AccessRefused, ChangeRefused, ConcurrentWrite, SourceError, WriteConflict
from sidecar.sources import open_source
from sidecar.sources.apollo.open_api import Portal
from sidecar.sources.base import Author, ChangeNote, Content, Source
from tests.integration.apollo.conftest import Watch
from tests.integration.cli.commands import run
from tests.servers.apollo.server import TOKEN, ApolloServer, portal_options, source_url

NOTE = ChangeNote(by="kim", reason="DC1 cooling fails", ticket="OPS-417")


@pytest.fixture
def source(apollo: ApolloServer, namespace: str) -> Source:
    """Open the namespace for writing as `lin`, with `dc1` released by `wang`."""
    wang = _as(apollo, "wang")
    wang.release(namespace, "dc1")
    return open_source(source_url(apollo, namespace=namespace), portal_options(apollo))


def _as(apollo: ApolloServer, user: str) -> Any:  # noqa: ANN401 - an operator
    return type(apollo.operator)(apollo.port, user=user)


def version(source: Source) -> str:
    """Return the version in force."""
    found = source.read(5)
    assert isinstance(found, Content)
    return found.version


def in_the_middle(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Let somebody act just before a step of a write, once."""
    real = getattr(Portal, step)
    acts = [act]

    def interrupted(self: Portal, *arguments: object, **named: object) -> object:
        while acts:
            acts.pop()()
        return real(self, *arguments, **named)

    monkeypatch.setattr(Portal, step, interrupted)


def test_a_write_is_a_release_that_says_who_and_why(
    apollo: ApolloServer, namespace: str, source: Source, watch: Watch
) -> None:
    """The title and the comment carry the note, cut to what Apollo's columns take; sidecars follow."""
    watched = watch(source_url(apollo, namespace=namespace))
    watched.reaches("dc1")
    written = source.write(b"dc2", version(source), 5, NOTE)
    assert written == version(source)
    watched.reaches("dc2")
    release = apollo.operator.latest(namespace)
    assert (release["name"], release["dataChangeCreatedBy"]) == ("kim: DC1 cooling fails", "lin")
    assert release["comment"] == "by kim; DC1 cooling fails; ticket OPS-417; dc-sidecar"
    source.write(b"dc3", written, 5, ChangeNote(by="kim", reason="r" * 300))
    release = apollo.operator.latest(namespace)
    assert (len(release["name"]), len(release["comment"])) == (64, 256)


def test_the_first_document_creates_the_key(apollo: ApolloServer, namespace: str) -> None:
    """In a namespace that exists; a namespace that does not is an error that says so."""
    source = open_source(source_url(apollo, namespace=namespace), portal_options(apollo))
    with pytest.raises(SourceError, match="namespace not found"):
        source.write(b"dc1", None, 5)
    apollo.operator.settle("namespace", name=f"dispatch+default+{namespace}")
    source.write(b"dc1", None, 5)
    assert source.read(5) == Content(b"dc1", version(source))
    with pytest.raises(WriteConflict):
        source.write(b"dc2", None, 5)


def test_a_release_of_somebody_else_is_a_conflict(apollo: ApolloServer, namespace: str, source: Source) -> None:
    """Nothing is written, and the item is left as it was."""
    before = version(source)
    _as(apollo, "wang").release(namespace, "dc5")
    with pytest.raises(WriteConflict, match="somebody else"):
        source.write(b"dc2", before, 5)
    assert apollo.operator.item(namespace) == "dc5"


def test_a_release_between_check_and_edit_is_a_conflict(
    apollo: ApolloServer, namespace: str, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found before ours goes out; the edit is taken back, so theirs stays what is edited and in force."""
    before = version(source)
    in_the_middle(monkeypatch, "put", lambda: _as(apollo, "wang").release(namespace, "dc5"))
    with pytest.raises(WriteConflict, match=r"release .* by wang"):
        source.write(b"dc2", before, 5)
    assert (apollo.operator.item(namespace), apollo.operator.latest(namespace)["configurations"]) == (
        "dc5",
        {"content": "dc5"},
    )


def test_an_edit_between_ours_and_the_release_is_found_afterwards(
    apollo: ApolloServer, namespace: str, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our release then carries their text: the error says so, and how to go back."""
    before = version(source)
    in_the_middle(monkeypatch, "release", lambda: _as(apollo, "wang").edit(namespace, "dc5"))
    with pytest.raises(ConcurrentWrite, match=r"carries an edit that somebody else made.*dc-sidecar rollback"):
        source.write(b"dc2", before, 5)


def test_a_lost_race_is_found_after_the_release(
    apollo: ApolloServer, namespace: str, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback in the last moment is replaced by ours: the error names it, with the way back."""
    newest = _as(apollo, "wang").release(namespace, "dc4")
    before = version(source)
    in_the_middle(monkeypatch, "release", lambda: apollo.operator.roll_back(newest))
    with pytest.raises(ConcurrentWrite, match=r"replaced release .* dc-sidecar rollback"):
        source.write(b"dc2", before, 5)


def test_unreleased_edits_of_others_stop_a_write(apollo: ApolloServer, namespace: str, source: Source) -> None:
    """They would go out with ours, of our key or another one; one's own edits do not stop it."""
    before = version(source)
    _as(apollo, "wang").edit(namespace, "draft")
    with pytest.raises(ChangeRefused, match=r"content \(by wang\)"):
        source.write(b"dc2", before, 5)
    assert apollo.operator.item(namespace) == "draft"
    apollo.operator.edit(namespace, "my own draft")
    source.write(b"dc2", before, 5)


def test_what_a_rollback_leaves_does_not_stop_a_write(apollo: ApolloServer, namespace: str, source: Source) -> None:
    """Apollo keeps the abandoned text as an edit: it was released once, so nothing is lost by replacing it."""
    wang = _as(apollo, "wang")
    wang.roll_back(wang.release(namespace, "dc4"))
    assert apollo.operator.item(namespace) == "dc4"
    source.write(b"dc2", version(source), 5)


def test_the_namespace_lock_is_respected_and_explained(
    apollo: ApolloServer, namespace: str, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """Who edits may not release: the edit is taken back, and so the lock; an emergency publish is never silent."""
    before = version(source)
    apollo.operator.settle("settings", lockSwitch=True)
    try:
        with pytest.raises(ChangeRefused, match=r"namespace's lock is on .* --apollo-emergency-publish"):
            source.write(b"dc2", before, 5)
        assert apollo.operator.item(namespace) == "dc1"
        _as(apollo, "wang").edit(namespace, "draft")
        with pytest.raises(ChangeRefused, match="wang has unreleased edits"):
            source.write(b"dc2", before, 5)
        _as(apollo, "wang").edit(namespace, "dc1")
        options = {**portal_options(apollo), "apollo-emergency-publish": "true"}
        source = open_source(source_url(apollo, namespace=namespace), options)
        source.write(b"dc2", before, 5, NOTE)
    finally:
        apollo.operator.settle("settings", lockSwitch=False)
    assert "EMERGENCY PUBLISH" in caplog.text
    assert apollo.operator.latest(namespace)["name"] == "EMERGENCY kim: DC1 cooling fails"


def test_a_document_over_the_items_limit_is_refused_beforehand(
    apollo: ApolloServer, namespace: str, source: Source
) -> None:
    """With the setting's name; a raised limit is configured; characters are counted as Java does."""
    before = version(source)
    long = ("x" * 19_999 + "𐌰").encode()
    with pytest.raises(ChangeRefused, match=r"20001 characters.*item\.value\.length\.limit"):
        source.write(long, before, 5)
    apollo.operator.settle("settings", itemLimit=30_000)
    try:
        options = {**portal_options(apollo), "apollo-item-limit": "30000"}
        open_source(source_url(apollo, namespace=namespace), options).write(long, before, 5)
    finally:
        apollo.operator.settle("settings", itemLimit=20_000)


def test_an_unknown_operator_and_a_bad_token_are_named(apollo: ApolloServer, namespace: str, source: Source) -> None:
    """Nothing is written, and the error names the option."""
    before = version(source)
    url = source_url(apollo, namespace=namespace)
    with pytest.raises(ChangeRefused, match="as user 'nobody' \\(--apollo-operator\\)"):
        open_source(url, portal_options(apollo, operator="nobody")).write(b"dc2", before, 5)
    with pytest.raises(AccessRefused, match="refuses the token"):
        open_source(url, {**portal_options(apollo), "apollo-token": "guess"}).read(5)
    with pytest.raises(SourceError, match="set --apollo-portal"):
        open_source(url, {}).write(b"dc2", before, 5)
    with pytest.raises(SourceError, match="LOCAL2"):
        open_source(url, {**portal_options(apollo), "apollo-env": "LOCAL2"}).read(5)


def test_the_history_knows_releases_rollbacks_and_their_authors(
    apollo: ApolloServer, namespace: str, source: Source, watch: Watch
) -> None:
    """Newest first, a rollback is a change too; the author of a version that sidecars report is found."""
    newest = apollo.operator.release(namespace, "dc2")
    _as(apollo, "wang").roll_back(newest)
    assert source.history is not None
    entries = source.history.entries(10, 5)
    assert [(entry.text, entry.author.user) for entry in entries] == [
        (b"dc1", "wang"),
        (b"dc2", "lin"),
        (b"dc1", "wang"),
    ]
    watched = watch(source_url(apollo, namespace=namespace))
    watched.reaches("dc1")
    assert isinstance(watched.last, Content)
    assert watched.last.version == entries[0].version
    assert source.history.author(watched.last.version, 5) == Author(user="wang")
    assert source.history.author("default/20260101000000-0", 5) is None
    apollo.operator.settle("settings", adminToken="t0ken")
    try:
        with pytest.raises(AccessRefused, match="DC_SIDECAR_APOLLO_ADMIN_TOKEN_FILE"):
            source.history.entries(1, 5)
        options = {"apollo-admin-token": "t0ken"}
        opened = open_source(source_url(apollo, namespace=namespace), options)
        assert opened.history is not None
        assert len(opened.history.entries(1, 5)) == 1
    finally:
        apollo.operator.settle("settings", adminToken="")


def test_the_command_rolls_back_and_explains_refusals(apollo: ApolloServer, namespace: str, tmp_path: Path) -> None:
    """`rollback` writes the release before again; a refusal is exit code 3 with its reason, a conflict 4."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    env = {
        "DC_SIDECAR_APOLLO_PORTAL": apollo.http,
        "DC_SIDECAR_APOLLO_TOKEN_FILE": str(token),
        "DC_SIDECAR_APOLLO_OPERATOR": "lin",
    }
    source = ("--source", source_url(apollo, namespace=namespace), "--hold-off", "0")
    _as(apollo, "wang").release(namespace, "# first\ndefault: dc1\n")
    assert run("switch", "--default", "dc2", "--yes", "--by", "kim", *source, env=env).returncode == 0
    listed = json.loads(run("rollback", "--list", "-o", "json", *source, env=env).stdout)
    assert [one["by"] for one in listed] == ["lin", "wang"]
    done = run("rollback", "--yes", *source, env=env)
    assert done.returncode == 0, done.stderr
    assert "default: dc1" in run("get", *source[:2], env=env).stdout
    _as(apollo, "wang").edit(namespace, "draft")
    done = run("switch", "--default", "dc2", "--yes", *source, env=env)
    assert done.returncode == 3
    assert "unreleased edits" in done.stderr
