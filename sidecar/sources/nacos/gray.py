"""Gray (beta) versions of a key, which Nacos serves to the addresses that they name."""

from __future__ import annotations

import json
import time
from typing import Any

from sidecar.errors import SourceError
from sidecar.sources.base import Gray
from sidecar.sources.nacos.api import NacosApi, json_of, message_of, remaining_s

_RULE = "beta"
# Nacos 3 answers like this where there is none.
_NO_GRAY_V3 = 20004


def stored_gray(api: NacosApi, within: float) -> Gray | None:
    """Return the key's gray version, for any addresses; None where there is none. Raises SourceError."""
    deadline = time.monotonic() + within
    v3 = api.select_server(remaining_s(deadline))
    path, more = ("/v3/admin/cs/config/beta", {}) if v3 else ("/v1/cs/configs", {"beta": "true"})
    answer = api.call("GET", path, {**api.key(), **more}, remaining_s(deadline))
    content = json_of(answer)
    if content.get("code") == _NO_GRAY_V3:
        return None
    if content.get("code") not in {0, 200} or "data" not in content:
        raise SourceError(f"{api.server} answers with status {answer.status}: {message_of(answer)}")
    data = content["data"]
    return Gray(str(data.get("grayName") or _RULE), _clients(data)) if isinstance(data, dict) else None


def served_gray(api: NacosApi, within: float) -> Gray:
    """Return the gray version that this client was just served; without its clients where they cannot be read."""
    try:
        return stored_gray(api, within) or Gray(_RULE)
    except SourceError:
        return Gray(_RULE)


def _clients(data: dict[str, Any]) -> tuple[str, ...]:
    """Return the addresses of a gray version: `betaIps` of Nacos 2, the expression in `grayRule` of Nacos 3."""
    addresses = data.get("betaIps")
    if not addresses:
        try:
            rule = json.loads(str(data.get("grayRule")))
        except ValueError:
            rule = None
        addresses = rule.get("expr") if isinstance(rule, dict) else None
    return tuple(filter(None, (address.strip() for address in str(addresses or "").split(","))))
