"""Publishing to Nacos with compare-and-set, which only the command line does."""

from __future__ import annotations

import contextlib
import getpass
import json
import time
from typing import Any

from sidecar.errors import AccessRefused, RequestNotSent, SourceError, WriteConflict
from sidecar.sources.nacos.api import FoundConfig, NacosApi, json_of, md5, message_of, remaining_s, stored_config

# Fields of the key that a publish without them would erase: their names when published, and when read.
_KEPT_V1 = {"desc": "desc", "appName": "appName", "configTags": "config_tags", "use": "use", "effect": "effect"}
_KEPT_V3 = {"desc": "desc", "appName": "appName", "configTags": "configTags"}
_CLIENTS_TIMEOUT_S = 2.0


def publish(api: NacosApi, text: bytes, expected_version: str | None, timeout: float) -> str:
    """Replace `expected_version` (None: no such key) by `text`; return the new version once clients get it.

    Raises WriteConflict, SourceError; the latter also for a text that Nacos refuses, such as blanks.
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
    v3 = api.select_server(remaining_s(deadline))
    _check(stored := stored_config(api, deadline), expected_version)
    kept = {new: str(stored[old]) for old, new in (_KEPT_V3 if v3 else _KEPT_V1).items() if stored.get(old)}
    fields = {**api.key(), **kept, "content": content, "type": type_of(content), **_operator(api, v3=v3)}
    headers = {} if expected_version is None else {"casMd5": expected_version}
    path = "/v3/admin/cs/config" if v3 else "/v1/cs/configs"
    try:
        answer = api.call("POST", path, fields, remaining_s(deadline), **headers)
    except (RequestNotSent, AccessRefused):
        raise
    except SourceError as error:
        raise SourceError(f"{error}; it is not known whether the text was written: look at the key") from None
    if b"Cas publish fail" in answer.body or json_of(answer).get("code") == 20005:
        raise WriteConflict(f"Somebody else changed the key since version {expected_version}; nothing was written.")
    done = json_of(answer).get("data") is True if v3 else answer.body.strip() == b"true"
    if answer.status != 200 or not done:
        raise SourceError(f"{api.server} did not take the text (status {answer.status}): {message_of(answer)}")
    version = md5(text)
    if expected_version is None:
        _check_created(api, version, deadline)
    _wait_for_clients(api, version, min(deadline, time.monotonic() + _CLIENTS_TIMEOUT_S))
    return version


def type_of(content: str) -> str:
    """Return the type by which the console highlights `content`: json, yaml, or text for a bare word."""
    try:
        if isinstance(json.loads(content), (dict, list)):
            return "json"
    except ValueError:
        pass
    return "text" if len(content.split()) == 1 and ":" not in content else "yaml"


def _check(stored: dict[str, Any], expected_version: str | None) -> None:
    """Raise WriteConflict where Nacos would not: its compare-and-set ignores creations and deletions in between."""
    version = md5(str(stored["content"]).encode()) if stored.get("content") else None
    if version == expected_version:
        return
    if expected_version is None:
        raise WriteConflict(f"The key exists already, at version {version}; expected none. Nothing was written.")
    now = f"is at version {version}" if version else "does not exist any more"
    raise WriteConflict(
        f"The key {now}; expected version {expected_version}. Somebody else changed it. Nothing was written."
    )


def _operator(api: NacosApi, *, v3: bool) -> dict[str, str]:
    """Return the operator for the history, if the server has no authentication: else it records who logged in."""
    if api.token:
        return {}
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return {}
    return {"username" if v3 else "src_user": name}


def _check_created(api: NacosApi, version: str, deadline: float) -> None:
    """Raise SourceError if the stored text is another one: somebody else created the key at the same time."""
    stored = md5(str(stored_config(api, deadline).get("content") or "").encode())
    if stored != version:
        raise SourceError(
            f"The key was created by two at once: it is at version {stored} and not at {version}. Nacos guards no "
            "creation; look at the key and write again."
        )


def _wait_for_clients(api: NacosApi, version: str, deadline: float) -> None:
    """Wait until clients get this version, which takes Nacos a moment; under a gray version this client may never."""
    with contextlib.suppress(SourceError):  # The text is written, even if the server fails now.
        while time.monotonic() < deadline:
            found = api.read(remaining_s(deadline))
            if found.version == version or (isinstance(found, FoundConfig) and found.gray):
                return
            time.sleep(0.02)
