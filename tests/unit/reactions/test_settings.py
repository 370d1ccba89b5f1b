"""What `reactions` in the configuration may say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.record import Record, RecordCause
from sidecar.errors import ConfigError
from sidecar.powerjob.model import Running
from sidecar.reactions.settings import read_reactions

HOOK = {"name": "chat", "webhook": "https://chat.example/hook"}
JOBS: dict[str, object] = {"name": "back", "powerjob": "http://powerjob:7700", "apps": ["billing"]}


def record(*events: AuditEvent) -> Record:
    """Return a record with these events."""
    return Record(at_ns=1, source="fake:", cause=RecordCause.DOCUMENT, events=events)


def test_little_says_enough() -> None:
    """A name and a URL are a reaction to what an operator wants to be woken for."""
    (reaction,) = read_reactions([HOOK])
    assert reaction.kinds == {
        EventKind.SWITCH,
        EventKind.FAILOVER,
        EventKind.RETURN,
        EventKind.DRILL_STARTED,
        EventKind.DRILL_ENDED,
        EventKind.REFUSED,
        EventKind.ACCEPTED,
    }
    assert (reaction.format, reaction.timeout, reaction.retry_for) == ("json", 5.0, 3600.0)


def test_all_can_be_said(tmp_path: Path) -> None:
    """Each key is read."""
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "url").write_text("https://chat.example/hook?token=x\n")
    hook = {
        "name": "chat",
        "webhook-file": str(tmp_path / "url"),
        "format": "dingtalk",
        "secret-file": str(tmp_path / "secret"),
        "on": ["switch"],
        "apps": ["billing"],
        "timeout": "2s",
        "retry-for": "10m",
    }
    command = {"name": "reschedule", "command": ["/bin/true", "-x"], "on": ["failover", "ramp-step"]}
    one, other = read_reactions([hook, command])
    assert (one.webhook_file, one.secret_file, one.format) == (tmp_path / "url", tmp_path / "secret", "dingtalk")
    assert (one.apps, one.timeout, one.retry_for) == (frozenset({"billing"}), 2.0, 600.0)
    assert (other.command, other.retry_for) == (("/bin/true", "-x"), 0.0)
    assert other.kinds == {EventKind.FAILOVER, EventKind.RAMP_STEP}


def test_powerjob_needs_only_a_server_and_applications() -> None:
    """Of what runs, only fixed-rate and fixed-delay jobs are touched; what moves work is what it reacts to."""
    (reaction,) = read_reactions([JOBS])
    assert reaction.kinds == {EventKind.SWITCH, EventKind.FAILOVER, EventKind.RETURN}
    assert reaction.powerjob is not None
    assert (reaction.powerjob.running, reaction.powerjob.lost) == (Running.FREQUENT, True)
    assert (reaction.powerjob.map_reduce, reaction.powerjob.score_by_id, reaction.powerjob.password_file) == (
        False,
        False,
        None,
    )
    assert (reaction.powerjob.since, reaction.powerjob.watch_for, reaction.powerjob.rate) == (600.0, 180.0, 10.0)
    many = JOBS | {"powerjob": ["http://a:1/", "https://b"], "running": "true", "lost": "false", "watch-for": "0"}
    (reaction,) = read_reactions([many | {"on": ["failover", "ramp-step"]}])
    assert reaction.powerjob is not None
    assert reaction.powerjob.servers == ("http://a:1", "https://b")
    assert (reaction.powerjob.running, reaction.powerjob.lost, reaction.powerjob.watch_for) == (Running.ALL, False, 0.0)
    assert reaction.kinds == {EventKind.FAILOVER, EventKind.RAMP_STEP}


def test_nothing_of_powerjob_is_imported_for_others() -> None:
    """A daemon without such a reaction does not have it in its memory."""
    code = (
        "import sys; from sidecar.reactions import runner; import sidecar.daemon; "
        f"from sidecar.reactions.settings import read_reactions; read_reactions([{HOOK!r}]); "
        "optional = ('sidecar.powerjob', 'sidecar.reactions.powerjob_settings'); "
        "sys.exit(any(name.startswith(optional) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ({}, "expected a list"),
        (["x"], r"reactions\[0\]: expected a mapping"),
        ([{"webhook": "https://x"}], r"reactions\[0\].name"),
        ([{"name": "a b", "webhook": "https://x"}], "found 'a b'"),
        ([HOOK, HOOK], "'chat' twice"),
        ([{"name": "x"}], "found none of webhook"),
        ([HOOK | {"command": ["x"]}], "found webhook and command"),
        ([HOOK | {"comand": ["x"]}], "did you mean command"),
        ([HOOK | {"on": ["switches"]}], "did you mean switch"),
        ([HOOK | {"on": []}], "chat.on: expected a list"),
        ([HOOK | {"format": "teams"}], "found 'teams', expected json or slack"),
        ([HOOK | {"timeout": "0"}], "chat.timeout"),
        ([HOOK | {"retry-for": "soon"}], "found 'soon'"),
        ([HOOK | {"secret-file": "/nonexistent"}], "cannot be read"),
        ([{"name": "x", "webhook": "ftp://x"}], "x.webhook: expected a URL"),
        ([{"name": "x", "webhook": "https://"}], "x.webhook: expected a URL"),
        ([{"name": "x", "webhook": "http://h:99999/"}], "x.webhook: expected a URL"),
        ([{"name": "x", "webhook": "http://h/a b"}], "x.webhook: expected a URL"),
        ([{"name": "x", "command": "rm -rf /"}], "x.command: expected a list"),
        ([{"name": "x", "command": ["x"], "format": "json"}], "for a webhook beside a command"),
        ([{"name": "x", "webhook": "https://h/", "environment": ["A"]}], "environment: expected a command beside it"),
        ([HOOK | {"format": "slack", "secret-file": "x"}], "knows no signatures"),
        ([JOBS | {"webhook": "https://x"}], "found 'webhook', expected name"),
        ([JOBS | {"runing": "true"}], "did you mean running"),
        ([JOBS | {"running": "maybe"}], "back.running: found 'maybe', expected frequent, false or true"),
        ([JOBS | {"score-by": "number"}], "back.score-by: found 'number', expected name or id"),
        ([JOBS | {"on": ["refused"]}], "found 'refused', expected switch, failover"),
        ([JOBS | {"powerjob": "powerjob:7700"}], "back.powerjob: PowerJob's server: expected a URL"),
        ([JOBS | {"powerjob": ["http://u:p@h"]}], "without user or password"),
        ([{"name": "back", "powerjob": "http://h"}], "back.apps: expected a list of the PowerJob applications"),
        ([JOBS | {"apps": ["a", "a"]}], "each application once"),
        ([JOBS | {"rate": "0"}], "back.rate: found '0'"),
        ([JOBS | {"rate": "nan"}], "back.rate: found 'nan'"),
        ([JOBS | {"since": "0"}], "back.since: found '0'"),
        ([JOBS | {"password-file": "/nonexistent"}], "cannot be read"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tree: Any, found: str) -> None:  # noqa: ANN401 - anything may stand there
    """A sidecar with a wrong reaction does not start, and says where it is wrong."""
    with pytest.raises(ConfigError, match=found):
        read_reactions(tree)


def test_only_what_is_wanted_of_a_record() -> None:
    """A reaction gets the events of its kinds that move its applications; events that move no work go to all."""
    (reaction,) = read_reactions([HOOK | {"apps": ["billing"], "on": ["switch", "drill"]}])
    mine = AuditEvent(kind=EventKind.SWITCH, text="", subjects=("other", "billing/7"))
    drill = AuditEvent(kind=EventKind.DRILL_STARTED, text="", subjects=("dc1",))
    theirs = AuditEvent(kind=EventKind.SWITCH, text="", subjects=("billings",))
    assert reaction.wanted(record(AuditEvent(kind=EventKind.APPLIED, text=""), mine, theirs, drill)) == (mine, drill)


def test_who_learns_of_a_refusal_learns_of_its_end() -> None:
    """`refused` covers the all-clear; `accepted` alone is the all-clear."""
    (both,) = read_reactions([{"name": "chat", "command": ["true"], "on": ["refused"]}])
    assert both.kinds == {EventKind.REFUSED, EventKind.ACCEPTED}
    (only,) = read_reactions([{"name": "chat", "command": ["true"], "on": ["accepted"]}])
    assert only.kinds == {EventKind.ACCEPTED}
