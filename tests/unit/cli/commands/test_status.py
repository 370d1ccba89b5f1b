"""`status` of one sidecar."""

from __future__ import annotations

from contextvars import copy_context
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sidecar import client
from sidecar.cli.commands import status
from sidecar.cli.sidecars import Endpoint
from sidecar.client import SourceState, Status
from sidecar.routing.outage import Fault, FaultKind, OutageKind
from sidecar.routing.zone import use_zone
from sidecar.sources.base import Gray
from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar


def test_one_sidecar_is_shown_in_lines(run: Run, sidecar: Sidecar) -> None:
    """The answer is readable, and is data with -o json."""
    sidecar.serve("default: dc1\n")
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    result = run("status", *at)
    assert result.code == 0
    shown = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert (shown["state"], shown["environment"]) == ("SYNCED", "staging")
    found = run("status", "-o", "json", *at).json
    assert (found["source"], found["environment"]) == ("file:test", "staging")


def test_a_gray_version_is_shown(run: Run, sidecar: Sidecar) -> None:
    """Which clients get it, and that ordinary publishes do not arrive; also as data, and beside other sidecars."""
    sidecar.serve("default: dc1\n", gray=Gray("beta", ("192.0.2.7", "192.0.2.8")))
    at = ("--sidecar", sidecar.address, "--timeout", "20s")
    lines = dict(line.split(maxsplit=1) for line in run("status", *at).out.splitlines() if line[0] != " ")
    assert lines["gray"].startswith("beta for 192.0.2.7, 192.0.2.8, since ")
    assert lines["gray"].endswith("ordinary publishes do not arrive until it is ended")
    gray = run("status", "-o", "json", *at).json["gray"]
    assert (gray["rule"], gray["clients"]) == ("beta", ["192.0.2.7", "192.0.2.8"])
    assert gray["since_ms"] > 0


def test_times_of_outages_are_shown_as_all_others() -> None:
    """In the machine's zone, or in UTC with --utc; the text of an older sidecar, which sends nothing else, as it is."""
    fault = Fault(FaultKind.OTHER, text="refused")
    outage = client.Outage("dc1", "a", "as sent", OutageKind.FAILED_OVER, since_ms=1_795_341_600_000, fault=fault)
    shown = {}
    for zone in (ZoneInfo("Asia/Shanghai"), UTC):
        context = copy_context()
        context.run(use_zone, zone)
        shown[zone] = context.run(status._reason, outage)
    times = ("2026-11-22T18:00:00+08:00", "2026-11-22T10:00:00Z")
    assert [*shown.values()] == [f"failed over: refused, since {time}" for time in times]
    assert status._reason(client.Outage("dc1", "", "as sent")) == "as sent"


def test_the_address_may_come_from_the_environment(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """DC_SIDECAR_ADDRESS says where the sidecar is, once for all commands."""
    monkeypatch.setenv("DC_SIDECAR_ADDRESS", sidecar.address)
    result = run("status", "--timeout", "20s")
    assert result.code == 0
    assert "no routing document yet" in result.out


def test_a_file_without_sidecars_is_refused(run: Run, tmp_path: Path) -> None:
    """Nobody is no fleet in which all agree."""
    (tmp_path / "fleet").write_text("")
    result = run("status", "--sidecar", f"@{tmp_path}/fleet")
    assert (result.code, result.out) == (78, "")
    assert "names no sidecar" in result.err


@pytest.mark.parametrize("words", [["status"], ["watch"], ["filter", "x", "--candidates", "dc1=1"]])
def test_no_sidecar_is_exit_code_6(run: Run, tmp_path: Path, words: list[str]) -> None:
    """Nobody there is reported in a line, without a traceback."""
    result = run(*words, "--sidecar", f"unix:{tmp_path}/none.sock")
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith("Error: unix:")
    assert len(result.err.splitlines()) == 1


def test_the_configuration_names_the_sidecars(
    run: Run, sidecar: Sidecar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sidecar` of the --config file is asked, also of the file in the environment; of several the first that answers.

    A flag and DC_SIDECAR_ADDRESS win over it.
    """
    sidecar.serve("default: dc1\n")
    config = tmp_path / "sidecar.yaml"
    config.write_text(f"sidecar: [{sidecar.address}]\n")
    at = ("--config", str(config), "--timeout", "20s")
    assert run("status", "-o", "json", *at).json["source"] == "file:test"
    config.write_text(f"sidecar: ['127.0.0.1:1', '{sidecar.address}']\n")
    assert run("filter", "x", "--candidates", "dc1=1", *at).out.startswith("dc1  ACTIVE")
    assert run("status", *at).code == 5
    assert run("status", *at, "--sidecar", sidecar.address).code == 0
    monkeypatch.setenv("DC_SIDECAR_CONFIG", str(config))
    assert run("status", "--timeout", "20s").code == 5
    monkeypatch.setenv("DC_SIDECAR_ADDRESS", sidecar.address)
    assert run("status", "--timeout", "20s").code == 0
    config.write_text("sidecar: ['127.0.0.1:1', '127.0.0.1:2']\n")
    monkeypatch.delenv("DC_SIDECAR_ADDRESS")
    none = run("filter", "x", "--candidates", "dc1=1")
    assert (none.code, none.err.startswith("Error: none of 2 sidecars answers")) == (6, True)


@pytest.mark.parametrize(
    ("revisions", "marks"),
    [
        ("aab", ["", "", "differs"]),
        ("ab", ["no majority", "no majority"]),
        ("aabb", ["no majority"] * 4),
        ("aa", ["", ""]),
    ],
)
def test_only_a_majority_decides_who_differs(
    run: Run, monkeypatch: pytest.MonkeyPatch, revisions: str, marks: list[str]
) -> None:
    """In a tie nobody is right: every sidecar is marked, and JSON has none agree."""
    served = [
        (
            Endpoint(f"127.0.0.1:{port}"),
            Status("1", "file:x", SourceState.SYNCED, "", revision, 1, 1, 1, from_snapshot=False),
        )
        for port, revision in enumerate(revisions, 1)
    ]
    monkeypatch.setattr(status, "statuses", lambda *_: served)
    shown = run("status")
    assert [mark if mark in line else "" for mark, line in zip(marks, shown.out.splitlines()[1:], strict=True)] == marks
    assert shown.out.count("differs") + shown.out.count("no majority") == len([mark for mark in marks if mark])
    assert shown.code == (0 if not any(marks) else 5)
    agreeing = [entry["agrees"] for entry in run("status", "-o", "json").entries]
    assert agreeing == [not mark for mark in marks]
