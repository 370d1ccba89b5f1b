"""`top`: the same as `apps`, the sidecars and the events, as one picture."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from sidecar.audit.event import AuditEvent, EventKind
from sidecar.audit.journal import Journal
from sidecar.audit.journal_reader import FOLDER
from sidecar.audit.record import Record, RecordCause
from sidecar.cli.commands import top
from sidecar.cli.options.flags import Key
from sidecar.cli.options.target import Target
from sidecar.cli.sidecars import Endpoint
from sidecar.client import RoutingClient
from sidecar.config import OPTIONS, Layer, OptionValue
from tests.unit.cli.center import Center
from tests.unit.cli.conftest import Run
from tests.unit.client.conftest import Sidecar

_TEXT = "datacenters: {dc1: {}, dc2: {available: false}}\ndefault: dc1\napps: {billing: dc1, reports: dc2}\n"


def _unset() -> OptionValue:
    option = next(option for option in OPTIONS if option.name == "state-dir")
    return OptionValue(option, (), Layer.DEFAULT, "default")


def _nobody(endpoint: Endpoint, timeout: float) -> RoutingClient:
    raise AssertionError((endpoint, timeout))


def test_one_picture_has_trouble_first(
    run: Run, key: Path, sidecar: Sidecar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applications, those with trouble first; what each sidecar serves; the newest events of the audit."""
    monkeypatch.setattr(top, "_STATUS_S", 20.0)
    key.write_text(_TEXT)
    sidecar.serve(_TEXT)
    journal = Journal(tmp_path / "audited" / FOLDER, max_bytes=1 << 20)
    event = AuditEvent(kind=EventKind.SWITCH, text="dc2 → dc1", subjects=("billing",))
    record = Record(
        at_ns=time.time_ns(), source=f"file:{key}", cause=RecordCause.DOCUMENT, events=(event,), changed="c"
    )
    journal.append([record])
    journal.close()
    sidecars = ("--sidecar", sidecar.address, "--sidecar", "127.0.0.1:1")
    result = run("top", "--once", *sidecars, "--state-dir", str(tmp_path / "audited"))
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert "3 rows, 1 failing" in "".join(lines[:3])
    found = [
        line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in {"billing", "reports", "(default)"}
    ]
    assert found == ["reports", "billing", "(default)"]
    assert any(line.startswith("unix:") and "SYNCED" in line for line in lines), result.out
    assert any(line.startswith("127.0.0.1:1") and "no answer" in line for line in lines)
    assert any("switch: billing: dc2 → dc1" in line for line in lines)


def test_it_fits_the_terminal(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many rows those that fit, and how many there are more."""
    monkeypatch.setenv("LINES", "20")
    monkeypatch.setenv("DC_SIDECAR_SIDECAR", "127.0.0.1:1")
    key.write_text("default: dc1\napps:\n" + "".join(f"  app-{n}: dc1\n" for n in range(300)))
    result = run("top", "--once")
    assert len(result.out.splitlines()) <= 20
    assert "more" in result.out


def test_a_key_that_cannot_be_read_leaves_the_rows(run: Run) -> None:
    """The rows of the look before stay, and the picture says that they are old and why."""
    assert run("--version").code == 0
    center = Center()
    key = Key(center, Target(url=center.url), 1.0, 1024, {"state-dir": _unset()})
    frame = top.look(key, [], _nobody)
    assert [row.app for row in frame.rows] == [""]
    center.text = b"nonsense: 1"
    after = top.look(key, [], _nobody, frame)
    assert (after.rows, "not valid" in after.error) == (frame.rows, True)


def test_without_a_terminal_or_rich_it_says_what_to_do(run: Run, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong usage names --once and `apps`; a missing package names the extra."""
    assert key.exists()
    piped = run("top")
    assert (piped.code, "pass --once" in piped.err) == (2, True)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    missing = run("top", "--once")
    assert (missing.code, "pip install '.[top]'" in missing.err) == (78, True)
