"""Requests to Apollo's servers: signatures, statuses, and JSON."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from sidecar.errors import AccessRefused, SourceError
from sidecar.sources.apollo.settings import ApolloSettings
from sidecar.sources.apollo.url import ApolloAddress
from sidecar.sources.http import HttpAnswer, HttpConnection

CENTER = "Apollo"
_TOLERANCE_S = 55.0
"""A clock that is off by more is named as the likely cause of a refusal; Apollo takes 60 s by default."""


def connection_to(address: ApolloAddress, settings: ApolloSettings) -> HttpConnection:
    """Return a connection, not made yet."""
    return HttpConnection(address, settings.tls.context() if address.tls else None, CENTER)


def signed_get(
    connection: HttpConnection, address: ApolloAddress, path: str, settings: ApolloSettings, within: float
) -> HttpAnswer:
    """Get a path of a config service, signed where there is an access key. Raises SourceError, AccessRefused."""
    full = address.path + path
    headers = settings.signature(full, time.time_ns() // 1_000_000)
    answer = connection.request("GET", full, headers=headers, within=within)
    if answer.status in {401, 403}:
        raise AccessRefused(f"{address} refuses the request ({answer.status}): {_refusal(answer, settings)}")
    return answer


def path_of(*parts: str) -> str:
    """Return a path, its parts escaped."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def query_of(**values: str) -> str:
    """Return the query of a URL, "?" included, without the empty values."""
    found = {name: value for name, value in values.items() if value}
    return f"?{urlencode(found)}" if found else ""


def json_of(answer: HttpAnswer) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a response, None for anything else."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def message_of(answer: HttpAnswer) -> str:
    """Return the server's own error message in one line of at most 200 characters."""
    content = json_of(answer)
    message = content.get("message") or content.get("error") if isinstance(content, dict) else None
    return " ".join(str(message or answer.body[:200].decode("utf-8", "replace")).split())[:200] or "no message"


def unexpected(address: ApolloAddress, answer: HttpAnswer) -> SourceError:
    """Return the error for a response that nothing else explains."""
    return SourceError(f"{address} answers with status {answer.status}: {message_of(answer)}")


def _refusal(answer: HttpAnswer, settings: ApolloSettings) -> str:
    if not settings.access_key:
        return "the application has an access key; set DC_SIDECAR_APOLLO_ACCESS_KEY_FILE"
    skew = _skew_s(answer)
    if skew is not None and abs(skew) > _TOLERANCE_S:
        way = "behind" if skew > 0 else "ahead of"
        return (
            f"this machine's clock is {abs(skew):.0f} s {way} the server's, and signatures are good for 60 s: "
            "synchronize the clock"
        )
    return f"the access key is not one of application {settings.key.app}, or is disabled: compare it in the portal"


def _skew_s(answer: HttpAnswer) -> float | None:
    """Return by how many seconds the server's clock is ahead of ours, None where its response has no date."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return None
