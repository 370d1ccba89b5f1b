"""What a change of view is remembered as."""

from __future__ import annotations

import json
from dataclasses import replace

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause, record_of, records
from sidecar.errors import DocumentRejected, Problem
from sidecar.lifecycle import RejectedDocument, SourceState
from sidecar.view import Override, View
from tests.unit.audit.views import NOTHING, SYNCED, view
from tests.views import loaded

DRILL = (
    "default: {active: dc1, backups: [dc2]}\n"
    'drills: [{datacenter: dc1, start: "2026-11-22T11:00:00Z", until: "2026-11-22T12:00:00Z", reason: Q4}]\n'
)
RAMP = 'default: {ramp: {from: dc1, to: dc2, start: "2026-11-22T10:00:00Z", duration: 10m}}'


def records_of(before: View, after: View) -> list[Record]:
    """Return the records of a change."""
    return list(records(before, after, 7, "fake:routing"))


def kinds(record: Record) -> list[str]:
    """Return the kinds of a record's events."""
    return [event.kind.value for event in record.events]


def refused(text: bytes, before: View) -> View:
    """Return the view after a text was refused."""
    refusal = RejectedDocument(
        revision="0123", error=DocumentRejected((Problem("apps", "wrong", 1, 1),)), at_ns=1, text=text
    )
    return replace(before, status=replace(SYNCED, state=SourceState.REJECTED, refusal=refusal))


def test_a_switch_has_all_that_an_auditor_asks() -> None:
    """Who, why, which document became which, what that moved, and the text itself."""
    before = view("default: dc1\n")
    after = view("meta: {by: lin, reason: cooling}\ndefault: dc2\n")
    (record,) = records_of(before, after)
    assert before.state is not None
    assert after.state is not None
    assert (record.before, record.revision, record.changed) == (
        before.state.document.revision,
        after.state.document.revision,
        after.state.document.revision,
    )
    assert kinds(record) == ["applied", "switch"]
    assert record.events[1].text == "dc1 → dc2"
    assert record.events[1].detail == {
        "before": {"destination": "datacenters", "shares": {"dc1": 1.0}},
        "after": {"destination": "datacenters", "shares": {"dc2": 1.0}},
    }
    assert (record.changes, record.route_changes[0]["kind"]) == (("default: dc1 → dc2",), "shares")
    assert record.meta == {"by": "lin", "reason": "cooling"}
    assert record.apps == {"default"}
    assert "+default: dc2" in record.difference
    assert record.text == after.text.decode()
    assert record.version == "v1"


def test_the_first_document_moves_nothing() -> None:
    """A first start reports what is in force, and no switch."""
    (record,) = records_of(NOTHING, view("dc1"))
    assert (kinds(record), record.before, record.difference) == (["applied"], "", ())


def test_a_refused_text_is_kept_with_what_is_wrong() -> None:
    """A refused text is reported with its error, also where it is not UTF-8; what decides stays."""
    before = view("dc1")
    (record,) = records_of(before, refused(b"\xff" * 100_000, before))
    assert before.state is not None
    assert kinds(record) == ["refused"]
    assert record.events[0].text == "apps (line 1, column 1): wrong"
    assert (record.changed, record.revision) == ("0123", before.state.document.revision)
    assert len(record.text) == 64 * 1024


def test_a_deleted_key_is_told() -> None:
    """Somebody who deletes the key has changed something, though nothing moves."""
    before = view("dc1")
    after = replace(before, status=replace(SYNCED, state=SourceState.MISSING, error="there is no key"))
    (record,) = records_of(before, after)
    assert (kinds(record), record.events[0].text) == (["missing"], "there is no key")


def test_a_lost_connection_is_no_change() -> None:
    """What says nothing about routes is for the log."""
    before = view("dc1")
    assert records_of(before, replace(before, status=replace(SYNCED, state=SourceState.DISCONNECTED))) == []


def test_a_drill_starts_and_ends() -> None:
    """The clock starts a drill, with what it moves; an edit of its end does not start it again; then it ends."""
    before = view(DRILL)
    during = view(DRILL, "2026-11-22T11:00:00Z", was=before)
    (record,) = records_of(before, during)
    assert (kinds(record), record.cause) == (["drill-started", "failover"], RecordCause.CLOCK)
    assert record.events[0].text == "dc1 until 2026-11-22T12:00:00Z: Q4"
    assert record.events[0].detail == {"datacenter": "dc1", "until": "2026-11-22T12:00:00Z", "reason": "Q4"}
    assert record.out == {"dc1": "drill: Q4"}
    assert record.outages["dc1"]["kind"] == "drill"
    longer = view(DRILL.replace("T12", "T13"), "2026-11-22T11:10:00Z")
    assert [kinds(record) for record in records_of(during, longer)] == [["applied"]]
    (ended,) = records_of(longer, view(longer.text.decode(), "2026-11-22T13:00:00Z", was=longer))
    assert kinds(ended) == ["drill-ended", "return"]


def test_steps_of_a_ramp_are_known_again_by_the_clock() -> None:
    """Sidecars that take a step at slightly different times tell of the same change; another step is another one."""
    before = view(RAMP)
    steps = [records_of(before, view(RAMP, f"2026-11-22T10:0{at}Z", was=before))[0] for at in ("3:00", "3:01", "4:00")]
    assert kinds(steps[0]) == ["ramp-step"]
    assert steps[0].key == steps[1].key != steps[2].key


def test_health_is_a_cause_of_its_own() -> None:
    """A failover by health checks is reported with the reason of the checks."""
    before = view("default: {active: dc1, backups: [dc2]}")
    after = view("default: {active: dc1, backups: [dc2]}", down={"dc1": "tcp refused"}, was=before)
    (record,) = records_of(before, after)
    assert (kinds(record), record.cause, record.out) == (["failover"], RecordCause.HEALTH, {"dc1": "tcp refused"})


def test_an_override_is_told() -> None:
    """A local document that goes before the source's is a change, and its end is one."""
    before = view("dc1")
    after = replace(view("dc2"), override=Override("file:/o", loaded("dc2"), 1))
    (started,) = records_of(before, after)
    assert kinds(started) == ["applied", "override-started", "switch"]
    (ended,) = records_of(after, before)
    assert (kinds(ended), ended.cause) == (["applied", "override-ended", "switch"], RecordCause.OVERRIDE)


def test_a_record_survives_json() -> None:
    """What is written is what is read."""
    for record in (
        *records_of(view("dc1"), view("meta: {by: {a: [b]}}\ndefault: dc2")),
        *records_of(NOTHING, view("dc1")),
    ):
        assert record_of(json.loads(json.dumps(record.plain()))) == record


def test_the_same_document_has_the_same_key_from_wherever_one_came() -> None:
    """A sidecar that missed the document in between reports the same change."""
    target = view("dc3")
    assert (
        records_of(view("dc1"), target)[0].key
        == records_of(view("dc2"), target)[0].key
        != records_of(target, view("dc1"))[0].key
    )


def test_a_change_of_health_has_the_same_key_on_every_sidecar() -> None:
    """The key is made of kinds and parameters: the same failover has the same, another one another."""
    text = "default: {active: dc1, backups: [dc2, dc3]}"
    before = view(text)
    one, again, other = (
        records_of(before, view(text, down=down, was=before))[0].key
        for down in ({"dc1": "refused"}, {"dc1": "another text"}, {"dc1": "refused", "dc2": "refused"})
    )
    assert one == again != other
    assert one.startswith("health ")


# What the version before kinds and parameters wrote, as `plain` returned it.
OLD = {
    "at_ns": 7,
    "source": "fake:routing",
    "cause": "health",
    "events": [{"kind": "failover", "words": "dc1 → dc2", "subjects": ["default"], "before": "dc1", "after": "dc2"}],
    "revision": "7cea05bd3c5a",
    "before": "7cea05bd3c5a",
    "out": {"dc1": "tcp refused"},
    "at": "1970-01-01T00:00:00Z",
}


def test_a_record_of_an_older_version_is_read_as_it_was() -> None:
    """It is shown with its own text, has no parameters, keeps the key that the older version gave it, and its form."""
    record = record_of(OLD)
    assert record.events == (
        AuditEvent(
            kind=EventKind.FAILOVER, text="dc1 → dc2", subjects=("default",), before="dc1", after="dc2", detail=None
        ),
    )
    assert record.key == "health 7cea05bd3c5a 81e92b53b5fc"
    assert json.loads(json.dumps(record.plain())) == OLD
    assert json.loads(json.dumps(record.outline())) == OLD


def test_an_older_version_can_read_what_is_written() -> None:
    """The fields of an event, in the form that is kept, are those that it knew; parameters stand beside them."""
    (record,) = records_of(view("dc1"), view("dc2"))
    plain = record.plain()
    assert all(event.keys() <= {"kind", "words", "subjects", "before", "after"} for event in plain["events"])
    assert all(event["words"] for event in plain["events"])
    assert [detail is not None for detail in plain["details"]] == [True, True]
    assert plain["changes"] == ("default: dc1 → dc2",)


def test_an_event_of_a_newer_version_is_shown_with_its_text() -> None:
    """A kind that is not known yet makes no record unreadable."""
    new = {**OLD, "events": [{"kind": "practice", "words": "dc1 practised"}], "details": [{"datacenter": "dc1"}]}
    (event,) = record_of(new).events
    assert (event.kind, event.text, event.detail) == (EventKind.OTHER, "dc1 practised", None)


def test_the_end_of_a_refusal_is_an_all_clear() -> None:
    """A valid document after a refused one is `accepted`: with what it changes, or alone if it is the one in force."""
    good = view("default: dc1\n")
    bad = refused(b"nonsense", good)
    (fixed,) = records_of(bad, view("default: dc2\n"))
    assert kinds(fixed) == ["applied", "switch", "accepted"]
    assert fixed.events[-1].text == "a valid document has replaced the refused 0123"
    (back,) = records_of(bad, good)
    assert good.state is not None
    assert (kinds(back), back.changed) == (["accepted"], good.state.document.revision)
    missing = replace(good, status=replace(SYNCED, state=SourceState.MISSING, error="there is no key"))
    assert [kinds(record) for record in records_of(bad, missing)] == [["missing"]]
    assert records_of(bad, bad) == []
