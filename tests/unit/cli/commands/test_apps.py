"""`apps`: what runs where."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal import Journal
from sidecar.audit.journal_reader import FOLDER
from sidecar.audit.record import Record, RecordCause
from sidecar.cli.commands import apps
from sidecar.client import Outage as ClientOutage
from sidecar.client import OutageKind, RoutingClient, SourceState, Status, Worker
from sidecar.routing.parsed_text import parse_text
from sidecar.routing.scalars import format_time
from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar

_HOUR = 3_600 * 10**9


def _document(now_ns: int) -> str:
    start, until = format_time(now_ns - _HOUR // 2), format_time(now_ns + 2 * _HOUR)
    return (
        "datacenters: {dc1: {}, dc2: {}, dc3: {available: false}}\n"
        "default: {active: dc1, backups: [dc2]}\n"
        "apps:\n"
        "  billing: {split: {dc1: 90, dc2: 10}, jobs: {'7': dc2}}\n"
        f"  search: {{ramp: {{from: dc1, to: dc2, start: '{start}', duration: 1h, steps: 10}}}}\n"
        "  reports: dc3\n"
        f"drills: [{{datacenter: dc2, start: '{format_time(now_ns + _HOUR)}', until: '{until}', apps: [billing]}}]\n"
    )


@pytest.fixture
def now(key: Path) -> int:
    """Write a document as of now to the key; return the time."""
    now_ns = time.time_ns()
    key.write_text(_document(now_ns))
    return now_ns


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, key: Path) -> None:  # noqa: ARG001 - after variables are cleared
    monkeypatch.setenv("DC_SIDECAR_SIDECAR", "127.0.0.1:1")


def _named(run: Run, *words: str) -> dict[str | None, dict[str, Any]]:
    result = run("apps", *words, "-o", "json")
    assert result.code == 0, result.err
    return {entry["app"]: entry for entry in result.entries}


def test_every_application_has_a_row(run: Run, now: int) -> None:
    """Where it runs, why, and what the clock does next; the rest of all applications first."""
    found = _named(run)
    assert [*found] == [None, "billing", "search", "reports"]
    assert (found[None]["kind"], found[None]["shares"], found[None]["next"]) == ("active", {"dc1": 1.0}, None)
    assert found["billing"]["shares"] == {"dc1": 0.9, "dc2": 0.1}
    assert found["billing"]["next"]["what"] == "drill of dc2 starts"
    assert found["billing"]["jobs"] == 1
    assert (found["search"]["why"], found["search"]["shares"]) == ("ramp, step 5 of 10", {"dc1": 0.5, "dc2": 0.5})
    assert found["search"]["next"]["what"] == "ramp to dc2, step 6 of 10"
    assert found["search"]["next"]["at"] > format_time(now)
    assert found["reports"]["why"] == "active; dc3 out: marked"
    assert [name for name, entry in found.items() if entry["failing"]] == ["reports"]
    text = run("apps").out.splitlines()
    assert text[0].split("  ")[0] == "APPLICATION"
    assert "WORKERS" not in text[0], "a column that nothing fills is left out"
    assert text[2].startswith("billing      dc1 90 %, dc2 10 %  split")
    assert "BACKUPS" in run("apps", "--wide").out


def test_rows_are_filtered(run: Run, now: int) -> None:
    """By name, by datacenter, by trouble; an unknown name is refused, nothing found is said."""
    assert now
    assert [*_named(run, "billing")] == ["billing"]
    assert [*_named(run, "--datacenter", "dc2")] == ["billing", "search", "reports"]
    assert [*_named(run, "--failing")] == ["reports"]
    nothing = run("apps", "--datacenter", "dc9")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "No application matches.\n")
    unknown = run("apps", "biling")
    assert (unknown.code, "names no application biling" in unknown.err) == (3, True)
    audit = run("apps", "--moved-since", "1h")
    assert (audit.code, "--state-dir" in audit.err) == (78, True)


def test_sidecars_add_outages_and_workers(run: Run, sidecar: Sidecar, key: Path) -> None:
    """Live workers as a sidecar saw them; with too few of them an application is failing."""
    text = "default: dc1\napps: {billing: dc1, search: {active: dc1, min_workers: 2}}\n"
    key.write_text(text)
    sidecar.serve(text)
    with RoutingClient(sidecar.address, timeout=20, cache_size=0) as scheduler:
        for app in ("billing", "search"):
            scheduler.filter(app, candidates=[Worker("a:1", "dc1"), Worker("b:1", "dc2")], dispatch=True)
    found = _named(run, "--sidecar", sidecar.address)
    assert found["billing"]["workers"] == {"dc1": 1, "dc2": 1}
    assert (found["billing"]["failing"], found["search"]["failing"]) == (False, True)
    assert found["search"]["short_of_workers"] == ["dc1"]
    assert "dc1 1, dc2 1" in run("apps", "--failing", "--sidecar", sidecar.address).out


def test_faults_and_failovers_of_sidecars_count(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A datacenter that is down for all, and one that a single application failed over from."""
    key.write_text("default: {active: dc1, backups: [dc2]}\napps: {billing: {active: dc2, backups: [dc3]}}\n")
    outages = (
        ClientOutage("dc1", "", "probes down", OutageKind.UNHEALTHY),
        ClientOutage("dc2", "billing", "no workers", OutageKind.FAILED_OVER, since_ms=1),
    )
    status = Status("1", "file:x", SourceState.SYNCED, "", "r", 1, 1, 1, from_snapshot=False, outages=outages)
    monkeypatch.setattr(apps, "statuses", lambda endpoints, *_: [(endpoints[0], status)])
    found = _named(run)
    assert (found[None]["shares"], found["billing"]["shares"]) == ({"dc2": 1.0}, {"dc3": 1.0})
    assert "dc1 out: probes down" in found[None]["why"]
    assert "dc2 out: failed over" in found["billing"]["why"]
    assert all(entry["failing"] for entry in found.values())


def test_the_audit_says_since_when(run: Run, key: Path, tmp_path: Path) -> None:
    """The last move of each application; jobs count for theirs, and --moved-since leaves out the others."""
    key.write_text("default: dc1\napps: {billing: dc2, reports: dc1, search: dc1}\n")
    state = tmp_path / "audited"
    journal = Journal(state / FOLDER, max_bytes=1 << 20)
    now_ns = time.time_ns()
    changes = (
        (3, ("reports",), f"file:{key}"),
        (1, ("billing", "search/7"), f"file:{key}"),
        (0, ("reports",), "file:other"),
    )
    for ago, subjects, source in changes:
        event = AuditEvent(kind=EventKind.SWITCH, text="dc1 → dc2", subjects=subjects)
        at_ns = now_ns - ago * _HOUR
        journal.append([Record(at_ns=at_ns, source=source, cause=RecordCause.DOCUMENT, events=(event,), changed="c")])
    journal.close()
    where = ("--state-dir", str(state))
    found = _named(run, *where)
    assert found["billing"]["since"] == format_time(now_ns - _HOUR)
    assert found["billing"]["moved_by"] == "switch dc1 → dc2"
    assert found["reports"]["since"] == format_time(now_ns - 3 * _HOUR)
    assert found[None]["since"] is None
    assert [*_named(run, *where, "--moved-since", "2h")] == ["billing", "search"]
    assert "SINCE" in run("apps", *where).out


def test_ten_thousand_applications_cost_little_more_than_reading_them(run: Run, key: Path) -> None:
    """The table takes no more CPU than some readings of the text: nothing of it grows faster than the document."""
    lines = [f"  app-{n}: {{split: {{dc1: 90, dc2: 10}}}}" if n % 10 else f"  app-{n}: dc2" for n in range(10_000)]
    key.write_text("\n".join(("default: dc1", "apps:", *lines, "")))
    began = time.process_time()
    parse_text(key.read_bytes())
    reading = time.process_time() - began
    began = time.process_time()
    result = run("apps")
    took = time.process_time() - began
    assert len(result.out.splitlines()) == 10_002
    assert took < 5 * reading
