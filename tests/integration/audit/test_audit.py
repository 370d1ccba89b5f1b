"""The audit of a real sidecar: over kills and a full disk, and as `dc-sidecar history` shows it."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import psutil

from sidecar.audit.event import EventKind
from sidecar.audit.journal_reader import FOLDER, newest_first, verify
from sidecar.audit.record import Record
from sidecar.routing.document import revision_of
from tests.harness import SidecarProcess
from tests.integration.cli.commands import run
from tests.waiting import eventually


def write(document: Path, text: str) -> None:
    """Replace the document as an editor does."""
    beside = document.with_suffix(".new")
    beside.write_text(text)
    beside.rename(document)


def served(sidecar: SidecarProcess, text: str) -> None:
    """Wait until a document decides."""
    eventually(lambda: sidecar.status().revision == revision_of(text.encode()), "the document")


def texts(state: Path) -> list[str]:
    """Return the documents that took effect, by the audit, the oldest first."""
    return [record.text for record in records(state) if record.events[0].kind is EventKind.APPLIED]


def records(state: Path) -> list[Record]:
    """Return the audit, the oldest first."""
    return list(newest_first(state / FOLDER))[::-1]


def test_a_change_is_shown_with_who_and_why(tmp_path: Path) -> None:
    """An operator finds the switch, its reason, its difference and the former text; a refused text is there too."""
    document, state = tmp_path / "routing.yaml", tmp_path / "state"
    document.write_text("apps: {billing: dc1, reports: dc1}\n")
    with SidecarProcess(f"file:{document}", "--state-dir", str(state), folder=tmp_path):
        eventually(lambda: len(texts(state)) == 1, "the first record")
        write(document, "meta: {by: lin, reason: DC1 cooling fails}\napps: {billing: dc2, reports: dc1}\n")
        eventually(lambda: len(texts(state)) == 2, "the switch")
        write(document, "apps: {billing: [}\n")
        eventually(lambda: len(records(state)) == 3, "the refusal")
        where = ("--state-dir", str(state))
        shown = run("history", *where)
    assert shown.returncode == 0, shown.stderr
    assert "lin: DC1 cooling fails" in shown.stdout
    assert "billing: dc1 → dc2" in shown.stdout
    assert "refused" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    _, switch, _ = records(state)
    of_billing = json.loads(run("history", *where, "--app", "billing", "-o", "json").stdout)
    assert [entry["changed"] for entry in of_billing] == [switch.changed]
    assert run("history", *where, "--app", "reports").stdout == ""
    everything = json.loads(run("history", *where, "-o", "json").stdout)
    assert [entry["at"] for entry in everything] == sorted((entry["at"] for entry in everything), reverse=True)
    assert shown.stdout.index("refused") < shown.stdout.index("billing: dc1 → dc2")
    assert "+apps: {billing: dc2" in run("history", "show", switch.changed[:6], *where).stdout
    assert "-apps: {billing: dc1" in run("history", "diff", switch.before, switch.changed, *where).stdout
    assert run("history", "show", "0000", *where).returncode == 3
    assert run("history", "verify", *where).stdout.startswith("3 records, numbers 1 to 3")
    (segment,) = (state / FOLDER).glob("0*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"lin", b"eve"))
    found = run("history", "verify", *where)
    assert (found.returncode, "line 2" in found.stdout) == (1, True)


def test_without_an_audit_it_says_where_one_would_be() -> None:
    """The command without a folder says how to name one, and exits as for wrong configuration."""
    asked = run("history")
    assert (asked.returncode, "--state-dir" in asked.stderr) == (78, True)


def test_kills_lose_no_document_and_tear_no_record(tmp_path: Path) -> None:
    """Killed again and again around changes, each document is in the chain once, and the chain is whole."""
    document, state = tmp_path / "routing.yaml", tmp_path / "state"
    expected = ["default: dc0\n"]
    document.write_text(expected[0])
    with SidecarProcess(f"file:{document}", "--state-dir", str(state), folder=tmp_path) as sidecar:
        for number in range(1, 6):
            expected.append(f"default: dc{number}\n")
            write(document, expected[-1])
            if number % 2:
                served(sidecar, expected[-1])
            sidecar.end(signal.SIGKILL)
            sidecar.start()
            eventually(lambda: texts(state)[-1:] == expected[-1:], "the record")
    assert texts(state) == expected
    assert verify(state / FOLDER).problems == ()


def test_a_full_disk_is_a_warning_and_then_all_is_there(tmp_path: Path) -> None:
    """While no file can grow, new documents take effect; afterwards the audit has every one of them."""
    document, state = tmp_path / "routing.yaml", tmp_path / "state"
    document.write_text("dc1")
    with SidecarProcess(f"file:{document}", "--state-dir", str(state), folder=tmp_path) as sidecar:
        eventually(lambda: texts(state), "the first record")
        (segment,) = (state / FOLDER).glob("0*.jsonl")
        process = psutil.Process(sidecar.pid)
        hard = process.rlimit(psutil.RLIMIT_FSIZE)[1]
        # One more record begins to fit, and does not.
        process.rlimit(psutil.RLIMIT_FSIZE, (segment.stat().st_size + 100, hard))
        for text in ("dc2", "dc3"):
            write(document, text)
            served(sidecar, text)
        assert texts(state) == ["dc1"]
        assert sidecar.filter().datacenter == "dc3"
        process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        eventually(lambda: texts(state) == ["dc1", "dc2", "dc3"], "the rest of the audit")
    assert verify(state / FOLDER).problems == ()
