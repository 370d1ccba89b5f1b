"""How a change is reported."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sidecar.audit.anchor import Anchor
from sidecar.audit.chain_head import ChainHead
from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause
from sidecar.reactions.messages import WebhookRequest, message_text, payload, webhook_request

SWITCH = AuditEvent(kind=EventKind.SWITCH, text="dc1 → dc2", subjects=("billing",), before="dc1", after="dc2")
RECORD = Record(
    at_ns=1_800_000_000 * 10**9,
    source="file:x",
    cause=RecordCause.DOCUMENT,
    events=(AuditEvent(kind=EventKind.APPLIED, text="same"), SWITCH),
    revision="3a7f09c21b44",
    meta={"by": "lin", "reason": "<cooling> & more"},
    text="apps: {billing: dc2}",
)
NOW_NS = 1_800_000_001_234 * 10**6


def posted(form: str, secret: str = "") -> tuple[WebhookRequest, dict[str, Any]]:
    """Return a post, and what its body says."""
    data = payload(RECORD, (SWITCH,), "chat")
    found = webhook_request(form, "https://h/x?token=1", secret, data, message_text(RECORD, (SWITCH,)), NOW_NS)
    return found, json.loads(found.body)


def test_data_for_programs() -> None:
    """The wanted events are there with who and why, the document's text is not; a repetition has the same name."""
    _, body = posted("json")
    assert [event["kind"] for event in body["events"]] == ["switch"]
    assert body["events"][0]["subjects"] == ["billing"]
    assert (body["revision"], body["meta"]["by"], body["reaction"]) == ("3a7f09c21b44", "lin", "chat")
    assert "apps: {billing" not in json.dumps(body)
    assert payload(RECORD, (SWITCH,), "chat")["delivery"] == body["delivery"]
    assert payload(RECORD, (SWITCH,), "other")["delivery"] != body["delivery"]


def test_words_for_people() -> None:
    """What moved comes first, then who and why, then when and which document."""
    assert message_text(RECORD, (SWITCH,)).splitlines() == [
        "switch: billing: dc1 → dc2",
        "by: lin",
        "reason: <cooling> & more",
        "2027-01-15T08:00:00Z, revision 3a7f09c21b44, file:x",
    ]


def test_the_publisher_is_named() -> None:
    """Who published a refused text is said where the config center's history knows; `meta` may be an older change's."""
    refused = AuditEvent(kind=EventKind.REFUSED, text="default (line 1, column 1): wrong")
    record = replace(RECORD, events=(refused,), meta={}, origin={"user": "kim", "address": "10.0.0.9"})
    assert "published by: kim (10.0.0.9)" in message_text(record, (refused,)).splitlines()
    assert "published by: kim" in message_text(replace(record, origin={"user": "kim"}), (refused,)).splitlines()
    assert "published" not in message_text(replace(record, origin={}), (refused,))


def test_words_are_cut_to_what_services_take() -> None:
    """A message for many stays a message."""
    many = tuple(
        AuditEvent(kind=EventKind.SWITCH, text="dc1 → 数据中心", subjects=(f"app{number}",)) for number in range(500)
    )
    assert len(message_text(RECORD, many).encode()) < 4096


def test_our_own_signature_can_be_checked() -> None:
    """Who has the secret can tell that the body and the time are ours."""
    found, _ = posted("json", "s3cret")
    signed = found.headers["X-DC-Sidecar-Timestamp"].encode() + b"." + found.body
    assert found.headers["X-DC-Sidecar-Signature"] == f"sha256={hmac.new(b's3cret', signed, sha256).hexdigest()}"
    assert "X-DC-Sidecar-Signature" not in posted("json")[0].headers


def test_slack_gets_its_marks_escaped() -> None:
    """A reason cannot become a link or a mention."""
    assert "reason: &lt;cooling&gt; &amp; more" in posted("slack")[1]["text"]


def test_dingtalk_is_signed_in_the_url() -> None:
    """As DingTalk's manual says: milliseconds and the secret, by HMAC with the secret, in Base64, in the URL."""
    found, body = posted("dingtalk", "SEC1")
    query = parse_qs(urlsplit(found.url).query)
    expected = base64.b64encode(hmac.new(b"SEC1", b"1800000001234\nSEC1", sha256).digest()).decode()
    assert (query["timestamp"], query["sign"], query["token"]) == (["1800000001234"], [expected], ["1"])
    assert (body["msgtype"], body["markdown"]["title"]) == ("markdown", "Routing: switch: billing: dc1 → dc2")
    assert posted("dingtalk")[0].url == "https://h/x?token=1"


def test_feishu_is_signed_in_the_body() -> None:
    """As Feishu's manual says: seconds and the secret are the key, and the message is empty."""
    _, body = posted("feishu", "k")
    expected = base64.b64encode(hmac.new(b"1800000001\nk", b"", sha256).digest()).decode()
    assert (body["timestamp"], body["sign"], body["msg_type"]) == ("1800000001", expected, "text")


def test_wecom_gets_markdown() -> None:
    """As WeCom's manual says."""
    _, body = posted("wecom")
    assert (body["msgtype"], body["markdown"]["content"].splitlines()[0]) == ("markdown", "switch: billing: dc1 → dc2")


@pytest.mark.parametrize("form", ["json", "slack", "dingtalk", "wecom", "feishu"])
def test_every_form_is_json_in_utf_8(form: str) -> None:
    """Arrows and Chinese arrive as they are."""
    found, _ = posted(form)
    assert "→".encode() in found.body
    assert found.headers["Content-Type"] == "application/json; charset=utf-8"


def test_an_anchor_is_data_of_its_own() -> None:
    """The signed head is a field beside the change; without one there is no field, and the delivery is the same."""
    anchor = Anchor(ChainHead(7, "d" * 64), "file:x", "2027-01-15T08:00:00Z", "AAAA")
    found, without = payload(RECORD, (SWITCH,), "chat", anchor), payload(RECORD, (SWITCH,), "chat")
    assert found.pop("anchor") == {
        "number": 7,
        "hash": "d" * 64,
        "source": "file:x",
        "at": "2027-01-15T08:00:00Z",
        "signature": "AAAA",
    }
    assert found == without
