"""The history of a key in Nacos, which keeps it for 30 days by default."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sidecar.sources.base import Author, HistoryEntry
from sidecar.sources.nacos.api import NacosApi, md5, object_of, remaining_s, stored_config

# Among how many of the newest changes an author is looked for.
_AUTHOR_ENTRIES = 3


class NacosHistory:
    """A source's `History`; each call has a connection of its own, from `connect`."""

    def __init__(self, connect: Callable[[], AbstractContextManager[NacosApi]]) -> None:
        self._connect = connect

    def entries(self, limit: int, timeout: float) -> tuple[HistoryEntry, ...]:
        """Return the newest `limit` changes, newest first. Raises SourceError."""
        with self._connect() as api:
            return tuple(_entries(api, limit, time.monotonic() + timeout))

    def author(self, version: str, timeout: float) -> Author | None:
        """Return who wrote a version, None if it is not among the newest three. Raises SourceError."""
        with self._connect() as api:
            entries = _entries(api, _AUTHOR_ENTRIES, time.monotonic() + timeout)
            return next((entry.author for entry in entries if entry.version == version), None)


def _entries(api: NacosApi, limit: int, deadline: float) -> Iterator[HistoryEntry]:
    v3 = api.select_server(remaining_s(deadline))
    path = "/v3/admin/cs/history" if v3 else "/v1/cs/history"
    search = {"search": "accurate", "pageNo": "1", "pageSize": str(limit)}
    answer = api.call("GET", f"{path}/list" if v3 else path, {**api.key(), **search}, remaining_s(deadline))
    rows = object_of(api, answer, v3=v3).get("pageItems") or []

    def detail(row: dict[str, Any]) -> str | None:
        answer = api.call("GET", path, {**api.key(), "nid": str(row["id"])}, remaining_s(deadline))
        content: str | None = object_of(api, answer, v3=v3).get("content")
        return content

    # A row holds the text that its change replaced; a creation holds its own.
    stored = stored_config(api, deadline).get("content")
    current = stored if isinstance(stored, str) else None
    for row in rows:
        if row.get("publishType") not in {None, "", "formal"}:
            continue  # Nacos 3 lists gray versions too, which replaced nothing.
        match str(row.get("opType")).strip():
            case "I":
                yield _entry(row, detail(row))
                current = None
            case "D":
                yield _entry(row, None)
                current = detail(row)
            case _:
                yield _entry(row, current)
                current = detail(row)


def _entry(row: dict[str, Any], text: str | None) -> HistoryEntry:
    at = row.get("lastModifiedTime") or row.get("modifyTime") or 0
    moment = at / 1000 if isinstance(at, (int, float)) else datetime.fromisoformat(at).timestamp()
    encoded = None if text is None else text.encode()
    return HistoryEntry(
        version=None if encoded is None else md5(encoded),
        text=encoded,
        at_ns=round(moment * 1000) * 10**6,
        author=Author(user=str(row.get("srcUser") or ""), address=str(row.get("srcIp") or "")),
    )
