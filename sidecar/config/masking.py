"""Masks secrets in the values of options, for `config show`."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

MASK = "…"

# Of a query's parameters, those with a secret: password, sslpassword, access_token, ODBC's PWD.
_SECRET = re.compile(r"(?i)(?:^|[?&;])[^=&;]*(?:password|passwd|pwd|secret|token)[a-z0-9_]*=")
_WEBHOOKS = frozenset({"webhook"})


def has_password(url: str) -> bool:
    """Return whether a URL has a password, in its place or as a parameter of its query."""
    place, _, query = url.partition("?")
    return bool(re.search(r"://[^@]*:.*@", place) or _SECRET.search(unquote(query)))


def masked_url(url: str) -> str:
    """Return a URL without its password: the part before the host, or the whole query, is replaced."""
    if not has_password(url):
        return url
    place, mark, query = url.partition("?")
    place = re.sub(r"(://[^@:]*):.*@", rf"\1:{MASK}@", place)
    return f"{place}{mark}{MASK}" if _SECRET.search(unquote(query)) else f"{place}{mark}{query}"


def masked_reactions(text: str) -> str:
    """Return a list of reactions as JSON, without the secrets of URLs.

    Of a webhook's URL only the host is left, as services of chats have the secret in its path.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return MASK
    return json.dumps(_masked(tree), ensure_ascii=False)


def _masked(value: Any, key: str = "") -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _masked(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, key) for each in value]
    if not isinstance(value, str):
        return value
    return _host_only(value) if key in _WEBHOOKS else masked_url(value)


def _host_only(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    return f"{parts.scheme}://{host}/{MASK}" if parts.scheme and host else MASK
