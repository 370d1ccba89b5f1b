"""The releases of a namespace, from an admin service: the open API lists none."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sidecar.sources.apollo.admin import admin_get
from sidecar.sources.apollo.settings import ApolloSettings
from sidecar.sources.apollo.web import path_of, query_of
from sidecar.sources.base import Author, HistoryEntry

# Among how many of the newest changes an author is looked for.
_AUTHOR_ENTRIES = 5


@dataclass(frozen=True, slots=True)
class _Change:
    """A row of the release history: since then this release is in force, made by this user."""

    release_id: int
    previous_id: int
    cluster: str
    branch: str
    by: str
    at_ns: int


class ApolloHistory:
    """A source's `History`; the meta servers name the admin services."""

    def __init__(self, settings: ApolloSettings) -> None:
        self._settings = settings

    def entries(self, limit: int, timeout: float) -> tuple[HistoryEntry, ...]:
        """Return the newest `limit` changes, newest first, without gray releases. Raises SourceError."""
        deadline = time.monotonic() + timeout
        changes = [one for one in self._changes(limit, deadline) if one.branch == one.cluster]
        releases = self._releases(changes, deadline)
        return tuple(_entry(one, releases.get(one.release_id), self._settings.key.key) for one in changes)

    def author(self, version: str, timeout: float) -> Author | None:
        """Return who put a version in force, None if it is not among the newest five. Raises SourceError."""
        deadline = time.monotonic() + timeout
        changes = self._changes(_AUTHOR_ENTRIES, deadline)
        releases = self._releases(changes, deadline)
        release_keys = version.partition("/")[2].split("+")
        for one in changes:
            if str(releases.get(one.release_id, {}).get("releaseKey")) in release_keys:
                return Author(user=one.by)
        return None

    def replaced(self, release_id: int, timeout: float) -> tuple[int, str | None] | None:
        """Return the id of the release that one replaced, and the key's text in it; None if it is not among the newest.

        Raises SourceError.
        """
        deadline = time.monotonic() + timeout
        for one in self._changes(_AUTHOR_ENTRIES, deadline):
            if one.release_id == release_id:
                found = self._releases([replace(one, release_id=one.previous_id)], deadline)
                release = found.get(one.previous_id)
                return one.previous_id, None if release is None else _text(release, self._settings.key.key)
        return None

    def _changes(self, limit: int, deadline: float) -> list[_Change]:
        key = self._settings.key
        for cluster in self._settings.ordinary_clusters():
            path = path_of("apps", key.app, "clusters", cluster, "namespaces", key.namespace, "releases", "histories")
            found = admin_get(self._settings, path + query_of(page="0", size=str(limit)), deadline)
            rows = found.get("content") if isinstance(found, dict) else None
            if rows:
                return [_change(row) for row in rows]
        return []

    def _releases(self, changes: list[_Change], deadline: float) -> dict[int, Mapping[str, Any]]:
        ids = ",".join(str(number) for number in dict.fromkeys(one.release_id for one in changes))
        found = admin_get(self._settings, path_of("releases") + query_of(releaseIds=ids), deadline) if ids else []
        return {int(one["id"]): one for one in found} if isinstance(found, list) else {}


def _change(row: Mapping[str, Any]) -> _Change:
    return _Change(
        release_id=int(row.get("releaseId") or 0),
        previous_id=int(row.get("previousReleaseId") or 0),
        cluster=str(row.get("clusterName")),
        branch=str(row.get("branchName")),
        by=str(row.get("dataChangeCreatedBy") or ""),
        at_ns=_time_ns(row.get("dataChangeCreatedTime")),
    )


def _time_ns(text: object) -> int:
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1000) * 10**6
    except ValueError:
        return 0


def _entry(change: _Change, release: Mapping[str, Any] | None, key: str) -> HistoryEntry:
    text = None if release is None else _text(release, key)
    return HistoryEntry(
        version=None if release is None or text is None else f"{change.cluster}/{release.get('releaseKey')}",
        text=None if text is None else text.encode(),
        at_ns=change.at_ns,
        author=Author(user=change.by),
    )


def _text(release: Mapping[str, Any], key: str) -> str | None:
    try:
        value = json.loads(str(release.get("configurations"))).get(key)
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None
