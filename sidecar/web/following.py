"""The answers that gates and proxies follow: is this datacenter active, and which one serves this key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from sidecar.errors import BadRequest
from sidecar.routing.activity import Activity, Serving, activity, serving
from sidecar.routing.decision import Reason
from sidecar.routing.location import NAME
from sidecar.routing.shares import Destination, shares
from sidecar.routing.state import State
from sidecar.routing.wording import outage_text, percent, shares_text

_MAX_NAME = 256
_KEY_HEADER = "X-Key"
_HEADER = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Followed:
    """An answer: its status, its line of text, and the headers that programs read."""

    status: int
    line: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The same for equal answers, also of other sidecars."""
        return f'"{sha256(repr((self.status, self.line, sorted(self.headers.items()))).encode()).hexdigest()[:16]}"'


def active(state: State, app: str, datacenter: str, key: str) -> Followed:
    """Return 200 where a datacenter serves an application, or a key of it, else 503. Raises BadRequest."""
    _check(app=app, key=key)
    if not NAME.fullmatch(datacenter):
        raise BadRequest("datacenter", f"found {datacenter[:80]!r}, expected 1 to 63 letters, digits and ._-")
    found = activity(state, app, datacenter)
    if key:
        return _active_for_key(state, app, datacenter, key, found)
    headers = {"X-Active": _flag(found.active)}
    if found.share is not None:
        headers["X-Share"] = f"{found.share:.6g}"
    if found.active:
        part = f": {percent(found.share)}" if found.share is not None and found.share < 1 else ""
        return Followed(200, f"{_shown(app)} is active in {datacenter}{part}", headers)
    out = f" ({outage_text(found.outage)})" if found.outage else ""
    line = f"{_shown(app)} is not active in {datacenter}{out}: it is active {_place(found)}"
    return Followed(503, line, headers)


def _active_for_key(state: State, app: str, datacenter: str, key: str, found: Activity) -> Followed:
    chosen = serving(state, app, key)
    here = chosen.datacenter == datacenter
    if not chosen.datacenter:
        # No single datacenter: then it is the same for all keys, unless a job has a route of its own.
        here = chosen.reason is Reason.UNROUTED or (
            chosen.reason is Reason.ANY and datacenter not in state.resolve((app,), app, key).out
        )
    headers = {"X-Active": _flag(here), **_chosen_headers(chosen)}
    out = f" ({outage_text(found.outage)})" if found.outage and not here else ""
    where = f"it is served in {chosen.datacenter}" if chosen.datacenter else f"reason {chosen.reason.name}"
    line = f"{_shown(app)} is {'' if here else 'not '}active in {datacenter} for {_shown(key)}{out}: {where}"
    return Followed(200 if here else 503, line, headers)


def decided(state: State, app: str, key: str) -> Followed:
    """Return the datacenter that serves a key of an application, in headers; 503 where none may. Raises BadRequest."""
    if not app:
        raise BadRequest("app", "found nothing, expected the application's id or name")
    _check(app=app, key=key)
    chosen = serving(state, app, key)
    headers = _chosen_headers(chosen)
    if chosen.datacenter:
        share = dict(shares(state, app, key).by_datacenter).get(chosen.datacenter, 0.0)
        headers["X-Share"] = f"{share:.6g}"
    status = 503 if chosen.reason is Reason.NO_WORKERS else 200
    return Followed(status, f"{chosen.datacenter or '-'} {chosen.reason.name}", headers)


def key_in_header(headers: Mapping[str, str], name: str) -> str:
    """Return the key that a header has, X-Key by default, "" where it is not sent. Raises BadRequest.

    Proxies hand on the headers of the request that they ask about, so any of them can have the key.
    """
    if name and not _HEADER.fullmatch(name):
        raise BadRequest("key_header", f"found {name[:80]!r}, expected the name of a header such as X-User")
    # Header values are bytes, which the framework reads as Latin-1; keys of schedulers are UTF-8.
    return headers.get(name or _KEY_HEADER, "").encode("latin-1").decode(errors="replace")


def _chosen_headers(chosen: Serving) -> dict[str, str]:
    return {"X-Datacenter": chosen.datacenter, "X-Reason": chosen.reason.name}


def _place(found: Activity) -> str:
    text = shares_text(found.shares)
    return f"in {text}" if found.shares.destination is Destination.DATACENTERS else text


def _flag(value: bool) -> str:  # noqa: FBT001 - its one argument
    return "true" if value else "false"


def _check(**names: str) -> None:
    for field_, name in names.items():
        if len(name) > _MAX_NAME:
            raise BadRequest(field_, f"found {len(name)} characters, expected at most {_MAX_NAME}")


def _shown(name: str) -> str:
    """Return a name from a request as it may stand in a line."""
    return name if name.isprintable() else ascii(name)[1:-1]
