"""What only the command line does with Nacos: publish with compare-and-set, and list the key's history."""

from __future__ import annotations

import contextlib
import getpass
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sidecar.errors import SourceError, WriteConflict
from sidecar.sources.nacos.api import AccessRefused, FoundConfig, NacosApi, json_of, md5, words_of
from sidecar.sources.nacos.http import HttpResponse, RequestNotSent

# What publishing without them would erase, by the names under which they are published.
_KEPT_V1 = {"desc": "desc", "appName": "appName", "configTags": "config_tags", "use": "use", "effect": "effect"}
_KEPT_V3 = {"desc": "desc", "appName": "appName", "configTags": "configTags"}
_CLIENTS_LIMIT = 2.0
_ACTIONS = {"I": "created", "U": "changed", "D": "deleted"}


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """One change of the key as the server remembers it: what was done, when, by whom, and the text it put in force.

    `operator` is empty where the server knows none (without authentication); `text` and `version` are None for a
    deletion, and where the server has forgotten the text.
    """

    id: str
    at: datetime
    action: str
    operator: str
    address: str
    text: bytes | None
    version: str | None


def publish(api: NacosApi, text: bytes, expected_version: str | None, timeout: float) -> str:
    """Replace `expected_version` (None: no such key) by `text`; return its version once clients are given it.

    Raises WriteConflict, SourceError; the latter also where `text` is what Nacos does not take, as blanks only.
    """
    deadline = time.monotonic() + timeout
    if not text.strip():
        raise SourceError(
            "The text to publish is blank, which Nacos does not take; delete the key in the console instead."
        )
    try:
        content = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"The text to publish is not UTF-8 (byte {error.start}); Nacos keeps text only.") from None
    v3 = api.choose(_left(deadline))
    _check(held := _stored(api, deadline), expected_version)
    kept = {new: str(held[old]) for old, new in (_KEPT_V3 if v3 else _KEPT_V1).items() if held.get(old)}
    fields = {**api.key(), **kept, "content": content, "type": type_of(content), **_operator(api, v3=v3)}
    headers = {} if expected_version is None else {"casMd5": expected_version}
    path = "/v3/admin/cs/config" if v3 else "/v1/cs/configs"
    try:
        answer = api.call("POST", path, fields, _left(deadline), **headers)
    except (RequestNotSent, AccessRefused):
        raise
    except SourceError as error:
        raise SourceError(f"{error}; it is not known whether the text was written: look at the key") from None
    if b"Cas publish fail" in answer.body or json_of(answer).get("code") == 20005:
        raise WriteConflict(f"Somebody else changed the key since version {expected_version}; nothing was written.")
    done = json_of(answer).get("data") is True if v3 else answer.body.strip() == b"true"
    if answer.status != 200 or not done:
        raise SourceError(f"{api.server} did not take the text (status {answer.status}): {words_of(answer)}")
    version = md5(text)
    if expected_version is None:
        _check_created(api, version, deadline)
    _wait_for_clients(api, version, min(deadline, time.monotonic() + _CLIENTS_LIMIT))
    return version


def history(api: NacosApi, limit: int, timeout: float) -> tuple[PublishRequest, ...]:
    """Return the newest `limit` changes, newest first. Nacos keeps them 30 days by default. Raises SourceError."""
    deadline = time.monotonic() + timeout
    v3 = api.choose(_left(deadline))
    path = "/v3/admin/cs/history" if v3 else "/v1/cs/history"
    search = {"search": "accurate", "pageNo": "1", "pageSize": str(limit)}
    listed = _content(
        api, api.call("GET", f"{path}/list" if v3 else path, {**api.key(), **search}, _left(deadline)), v3=v3
    )
    held = _stored(api, deadline).get("content")
    # A row holds the text that its change replaced, except for a creation, which holds its own.
    replaced: str | None = held if isinstance(held, str) else None
    changes = []
    for row in listed.get("pageItems") or []:
        if row.get("publishType") not in {None, "", "formal"}:
            continue  # Nacos 3 lists gray versions, too, which replaced nothing
        nid = {**api.key(), "nid": str(row["id"])}
        detail = _content(api, api.call("GET", path, nid, _left(deadline)), v3=v3)
        action = _ACTIONS.get(str(row.get("opType")).strip(), str(row.get("opType")).strip())
        text = detail.get("content") if action == "created" else None if action == "deleted" else replaced
        replaced = None if action == "created" else detail.get("content")
        changes.append(_change(row, action, text))
    return tuple(changes)


def type_of(content: str) -> str:
    """Return what the console shall highlight `content` as: json, yaml, or text for a bare word."""
    try:
        if isinstance(json.loads(content), (dict, list)):
            return "json"
    except ValueError:
        pass
    return "text" if len(content.split()) == 1 and ":" not in content else "yaml"


def _stored(api: NacosApi, deadline: float) -> dict[str, Any]:
    """Return the key as the database has it, which a member's lag and gray versions do not touch; empty for none."""
    v3 = api.is_v3(_left(deadline))
    path, more = ("/v3/admin/cs/config", {}) if v3 else ("/v1/cs/configs", {"show": "all"})
    answer = api.call("GET", path, {**api.key(), **more}, _left(deadline))
    if json_of(answer).get("code") == 20004 or (answer.status in {200, 404} and not answer.body.strip(b" \r\nnul")):
        return {}
    return _content(api, answer, v3=v3)


def _content(api: NacosApi, answer: HttpResponse, *, v3: bool) -> dict[str, Any]:
    content = json_of(answer)
    data = content.get("data") if v3 else content
    if answer.status != 200 or not isinstance(data, dict) or not data:
        raise SourceError(f"{api.server} answers with status {answer.status}: {words_of(answer)}")
    return data


def _check(held: dict[str, Any], expected_version: str | None) -> None:
    """Refuse what compare-and-set would not: Nacos lets it create a key, so a creation or a deletion is found here."""
    version = md5(str(held["content"]).encode()) if held.get("content") else None
    if version == expected_version:
        return
    if expected_version is None:
        raise WriteConflict(f"The key exists already, at version {version}; expected none. Nothing was written.")
    now = f"is at version {version}" if version else "does not exist any more"
    raise WriteConflict(
        f"The key {now}; expected version {expected_version}. Somebody else changed it, or this machine reads a gray "
        "(beta) version of it. Nothing was written."
    )


def _operator(api: NacosApi, *, v3: bool) -> dict[str, str]:
    """Name the operator for the history of a server without authentication; with it, the server names who logged in."""
    if api.token:
        return {}
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return {}
    return {"username" if v3 else "src_user": name}


def _check_created(api: NacosApi, version: str, deadline: float) -> None:
    """See that the stored text is this one; another one is somebody else's, who meant to create the key as well."""
    stored = md5(str(_stored(api, deadline).get("content") or "").encode())
    if stored != version:
        raise SourceError(
            f"The key was created by two at once: it is at version {stored} and not at {version}. Nacos guards no "
            "creation; look at the key and write again."
        )


def _wait_for_clients(api: NacosApi, version: str, deadline: float) -> None:
    """Wait until a client that asks is given this version, which takes Nacos a moment; for a gray one it may not be."""
    with contextlib.suppress(SourceError):  # it is written, whatever becomes of the server now
        while time.monotonic() < deadline:
            found = api.read(_left(deadline))
            if found.version == version or (isinstance(found, FoundConfig) and found.gray):
                return
            time.sleep(0.02)


def _change(row: dict[str, Any], action: str, text: str | None) -> PublishRequest:
    at = row.get("lastModifiedTime") or row.get("modifyTime") or 0
    encoded = None if text is None else text.encode()
    return PublishRequest(
        id=str(row["id"]),
        at=datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, (int, float)) else datetime.fromisoformat(at),
        action=action,
        operator=str(row.get("srcUser") or ""),
        address=str(row.get("srcIp") or ""),
        text=encoded,
        version=None if encoded is None else md5(encoded),
    )


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)
