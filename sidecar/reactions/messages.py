"""The message about a change: data for programs, text for people, and the forms that chat services take."""

from __future__ import annotations

import base64
import hmac
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from sidecar.audit.anchor import Anchor
from sidecar.audit.event import AuditEvent
from sidecar.audit.record import Record
from sidecar.audit.wording import event_text, publisher_text
from sidecar.gil import encode_json
from sidecar.routing.scalars import SECOND_NS
from sidecar.routing.wording import second

# Chat services take no longer texts (WeCom: 4096 bytes).
_MAX_BYTES = 3500
_NAMED = 5


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """An HTTP request to make."""

    url: str
    body: bytes
    headers: dict[str, str]


def payload(
    record: Record, events: Sequence[AuditEvent], reaction: str, anchor: Anchor | None = None
) -> dict[str, Any]:
    """Return a change as data: as `dc-sidecar history -o json` shows it, with the events that are wanted only.

    `delivery` is the same however often it is sent. The document's text is not included. `anchor` is a signed head of
    the audit that covers the change.
    """
    identity = f"{reaction}\n{record.source}\n{record.key}\n{record.at_ns}"
    return {
        "reaction": reaction,
        "delivery": sha256(identity.encode()).hexdigest()[:32],
        "sidecar": socket.gethostname(),
        **replace(record, events=tuple(events), difference=()).outline(),
        **({} if anchor is None else {"anchor": anchor.plain()}),
    }


def message_text(record: Record, events: Sequence[AuditEvent]) -> str:
    """Return a change as text: a line for each event, then who and why."""
    lines = [f"{event.kind.value}: {event_text(event, _NAMED)}" for event in events]
    lines += [f"{name} is out of service ({outage})" for name, outage in record.out.items()]
    lines += [
        f"{key}: {record.meta[key]}" for key in ("by", "reason", "ticket") if isinstance(record.meta.get(key), str)
    ]
    if publisher := publisher_text(record.origin):
        lines.append(f"published by: {publisher}")
    lines.append(f"{second(record.at_ns)}, revision {record.revision or 'none'}, {record.source}")
    text = "\n".join(lines)
    cut = text.encode()[:_MAX_BYTES].decode(errors="ignore")
    return text if cut == text else f"{cut} …"


def webhook_request(form: str, url: str, secret: str, data: dict[str, Any], text: str, now_ns: int) -> WebhookRequest:
    """Return the request that sends a change to a service, signed where there is a secret.

    `json` is signed as `X-DC-Sidecar-Signature: sha256=` and the HMAC-SHA256, in hex, of `X-DC-Sidecar-Timestamp` (Unix
    seconds), a dot, and the body. DingTalk and Feishu are signed as their manuals for robots say.
    """
    seconds = str(now_ns // SECOND_NS)
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "dc-sidecar"}
    title = "Routing: " + text.partition("\n")[0]
    match form:
        case "slack":
            # Slack reads these three as its own marks.
            escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            body: dict[str, Any] = {"text": escaped}
        case "dingtalk":
            body = {"msgtype": "markdown", "markdown": {"title": title[:100], "text": text.replace("\n", "\n\n")}}
            if secret:
                moment = str(now_ns // 1_000_000)
                sign = quote(_base64(secret.encode(), f"{moment}\n{secret}".encode()), safe="")
                url = f"{url}{'&' if '?' in url else '?'}timestamp={moment}&sign={sign}"
        case "wecom":
            body = {"msgtype": "markdown", "markdown": {"content": text}}
        case "feishu":
            body = {"msg_type": "text", "content": {"text": text}}
            if secret:
                body |= {"timestamp": seconds, "sign": _base64(f"{seconds}\n{secret}".encode(), b"")}
        case _:
            body = {**data, "text": text}
    encoded = encode_json(body).encode("utf-8", "replace")
    if form == "json":
        headers["X-DC-Sidecar-Delivery"] = data["delivery"]
        if secret:
            digest = hmac.new(secret.encode(), seconds.encode() + b"." + encoded, sha256).hexdigest()
            headers |= {"X-DC-Sidecar-Timestamp": seconds, "X-DC-Sidecar-Signature": f"sha256={digest}"}
    return WebhookRequest(url, encoded, headers)


def _base64(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, sha256).digest()).decode()
