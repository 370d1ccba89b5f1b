"""The `celery` reaction, with a command that a test writes in place of `dc-sidecar`."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause
from sidecar.errors import ConfigError, TaskDeferred, TaskFailed
from sidecar.reactions.celery_moves import CeleryMoves, left_by
from sidecar.reactions.follow_up import ReactionContext
from sidecar.reactions.settings import read_reactions
from tests.waiting import eventually

# Writes its arguments into a file, and behaves as its first one says.
COMMAND = """
import json, sys, time
how, record, *words = sys.argv[1:]
with open(record, "a") as file:
    file.write(json.dumps(words) + "\\n")
if how == "hang":
    time.sleep(600)
if how == "fail":
    sys.exit("broker redis://:**@b: connection refused")
print(json.dumps({"queues": [{"queue": "work.dc1", "found": 3, "moved": {"work.dc2": 2}, "kept": {"why": 1}}]}))
sys.exit(5)
"""


def moved(kind: EventKind, before: dict[str, float], after: dict[str, float], *subjects: str) -> AuditEvent:
    """Return an event of work that goes elsewhere."""
    sides = {"before": {"shares": before}, "after": {"shares": after}}
    return AuditEvent(kind=kind, text="dc1 → dc2", detail=sides, subjects=subjects or ("billing",))


SWITCH = moved(EventKind.SWITCH, {"dc1": 1.0}, {"dc2": 1.0})


def change(*events: AuditEvent) -> Record:
    """Return a record of a change that happens now."""
    return Record(at_ns=time.time_ns(), source="file:x", cause=RecordCause.DOCUMENT, events=events or (SWITCH,))


class Moving:
    """A reaction with a command, the records that it reported, and how it was called."""

    def __init__(self, folder: Path, how: str = "move", **keys: object) -> None:
        secret = folder / "broker"
        secret.write_text("redis://broker\n")
        program = folder / "command.py"
        program.write_text(COMMAND)
        self._calls = folder / "calls"
        entry = {"name": "tasks", "celery": str(secret), "app": "billing", "queues": ["work"], "watch-for": "0", **keys}
        self.reports: list[Record] = []
        (self.reaction,) = read_reactions([entry])
        self.moves = CeleryMoves(
            self.reaction,
            ReactionContext(lambda: None, self.reports.append),
            command=[sys.executable, str(program), how, str(self._calls)],
            settle_s=0.0,
            every_s=0.05,
        )

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []


def test_it_moves_what_waits_where_work_has_left(tmp_path: Path) -> None:
    """The command gets datacenter, queues and the file with the broker's URL; the result is an audit event."""
    moving = Moving(tmp_path, unacked="true", sidecar="unix:/run/s", rate="50")
    record = change()
    moving.moves(record, record.events)
    (words,) = moving.calls
    assert words[:6] == ["celery", "move", "billing", "--from", "dc1", "--yes"]
    assert {"--unacked", "unix:/run/s", "50", str(tmp_path / "broker")} < set(words)
    (event,) = moving.reports[0].events
    assert event.kind is EventKind.RESCHEDULED
    assert event.detail == {
        "app": "billing",
        "results": [{"done": True, "result": "moved to work.dc2", "count": 2}],
    }


def test_a_sidecar_with_tls_is_reached_with_it(tmp_path: Path) -> None:
    """The command gets the certificates' files; the system's authorities are used with `tls` alone."""
    pem = tmp_path / "a.pem"
    pem.write_text("PEM")
    moving = Moving(tmp_path, ca=str(pem), cert=str(pem), key=str(pem), **{"server-name": "sidecar"})
    record = change()
    moving.moves(record, record.events)
    (words,) = moving.calls
    flags = ["--ca", str(pem), "--cert", str(pem), "--key", str(pem), "--server-name", "sidecar"]
    assert words[words.index("--ca") : words.index("--ca") + 8] == flags
    settings = Moving(tmp_path, tls="true").reaction.celery
    assert settings is not None
    assert settings.tls == ("--tls",)


def test_it_looks_again_until_watch_for(tmp_path: Path) -> None:
    """Publishers may follow the change late."""
    moving = Moving(tmp_path, **{"watch-for": "1s"})
    record = change()
    moving.moves(record, record.events)
    assert len(moving.calls) >= 2


def test_a_failure_is_reported_for_another_attempt(tmp_path: Path) -> None:
    """The command's own error is the reason."""
    record = change()
    with pytest.raises(TaskFailed, match="connection refused"):
        Moving(tmp_path, "fail").moves(record, record.events)


def test_it_ends_with_the_sidecar(tmp_path: Path) -> None:
    """The command is ended, and the change is continued after the next start."""
    moving = Moving(tmp_path, "hang")
    record = change()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            moving.moves(record, record.events)
        except TaskDeferred as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: moving.calls, "the command runs", within=30)
    assert moving.moves.counts is not None
    moving.moves.stop()
    thread.join(20)
    assert raised
    assert moving.moves.counts is None


def test_a_newer_change_is_continued_with(tmp_path: Path) -> None:
    """The datacenters that the interrupted change left are looked at with the newer one."""
    moving = Moving(tmp_path)
    older, newer = change(), change(moved(EventKind.FAILOVER, {"dc2": 1.0}, {"dc3": 1.0}))
    moving.moves.notify(newer)
    moving.moves(older, older.events)
    assert moving.calls == []
    moving.moves(newer, newer.events)
    assert [words[words.index("--from") + 1] for words in moving.calls] == ["dc1", "dc2"]


def test_only_what_loses_work_of_the_application_is_left() -> None:
    """Other applications and datacenters that gain work do not count; the default route does."""
    half = moved(EventKind.SWITCH, {"dc1": 0.9, "dc2": 0.1}, {"dc1": 0.5, "dc2": 0.5}, "billing/1001")
    assert left_by([half], "billing") == ["dc1"]
    assert left_by([half], "other") == []
    assert left_by([moved(EventKind.RETURN, {"dc2": 1.0}, {"dc1": 1.0}, "default")], "other") == ["dc2"]
    assert left_by([AuditEvent(kind=EventKind.APPLIED, text="")], "billing") == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"app": None}, "app, the application's name"),
        ({"queues": []}, "queues: expected a list of texts"),
        ({"sidecar": "nowhere"}, "sidecar: found 'nowhere'"),
        ({"ca": "/nonexistent"}, "ca: found '/nonexistent', expected the path of a PEM file"),
        ({"cert": __file__}, "expected cert and key, both or none"),
        ({"tls": "perhaps"}, "tls: found 'perhaps'"),
        ({"rate": "0"}, "rate: found '0'"),
        ({"rate": "fast"}, "rate: found 'fast'"),
        ({"apps": ["billing"]}, "found 'apps': did you mean app?"),
        ({"celery": "/nonexistent"}, "celery: /nonexistent"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, keys: dict[str, Any], expected: str) -> None:
    """The error names the reaction and the key."""
    with pytest.raises(ConfigError, match=r"reactions: tasks|reactions\[0\]") as refused:
        Moving(tmp_path, **keys)
    assert expected in str(refused.value)


def test_queues_are_required(tmp_path: Path) -> None:
    """Without them nothing could be moved."""
    secret = tmp_path / "broker"
    secret.write_text("redis://broker")
    with pytest.raises(ConfigError, match="queues: expected a list of the queues"):
        read_reactions([{"name": "tasks", "celery": str(secret), "app": "billing"}])
