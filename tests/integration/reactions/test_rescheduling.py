"""PowerJob's work brought back by real sidecars: once for a fleet, and over a kill."""

from __future__ import annotations

import json
import re
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sidecar.powerjob.model import InstanceStatus
from tests.harness import SidecarProcess
from tests.integration.audit.test_audit import records, served, write
from tests.unit.powerjob.fake import NO_WORKER, FakePowerJob
from tests.waiting import eventually

RUNS = 12
ROUTES = "apps: {billing: dc1}"
SWITCHED = "apps: {billing: dc2}"


def configured(folder: Path, fake: FakePowerJob, *, audit_db: str = "") -> tuple[str, ...]:
    """Return the flags of a sidecar with a `powerjob` reaction."""
    folder.mkdir()
    reaction = {"name": "back", "powerjob": fake.url, "apps": ["billing"], "rate": "100", "watch-for": "0"}
    reaction["timeout"] = "60s"
    settings = {"reactions": [reaction], "state-dir": str(folder / "state")}
    (folder / "sidecar.yaml").write_text(json.dumps(settings | ({"audit-db": audit_db} if audit_db else {})))
    return "--config", str(folder / "sidecar.yaml")


def failed(fake: FakePowerJob) -> None:
    """Have runs that found no worker, and a worker for them."""
    fake.worker("10.2.0.1:1", "dc2")
    for number in range(1, RUNS + 1):
        fake.instance(number, InstanceStatus.FAILED, NO_WORKER)


def moved(*states: Path) -> int:
    """Return how many runs the audits report as rescheduled."""
    told = [event.text for state in states for record in records(state) for event in record.events]
    return sum(int(found[1]) for words in told if (found := re.fullmatch(r"billing: (\d+) retried", words)))


class Stuck(FakePowerJob):
    """Answers three retries, and keeps the next one waiting until it is `free`."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def answer(self, call: str, given: dict[str, Any]) -> object:
        if call == "retryInstance" and self.named(call) > 3:
            self.free.wait(120)
        return super().answer(call, given)


def test_a_kill_in_the_middle(tmp_path: Path) -> None:
    """What was retried before it is not retried after it; each run is reported once."""
    document, own = tmp_path / "routing.yaml", tmp_path / "own"
    document.write_text(ROUTES)
    with Stuck() as fake:
        failed(fake)
        flags = configured(own, fake)
        with SidecarProcess(f"file:{document}", *flags, folder=own) as sidecar:
            write(document, SWITCHED)
            eventually(lambda: fake.named("retryInstance") == 4, "the first retries", within=60)
            sidecar.end(signal.SIGKILL)
            fake.free.set()
            sidecar.start()
            # What was on its way when the kill came may have been done, and not noted: PowerJob takes it once.
            eventually(lambda: moved(own / "state") >= RUNS - 1, "the report", within=60)
    assert all(entry["status"] == InstanceStatus.WAITING_WORKER for entry in fake.instances.values())
    assert RUNS <= fake.named("retryInstance") <= RUNS + 1


def test_once_for_a_fleet(tmp_path: Path) -> None:
    """Of two sidecars with one audit database one does it; both know the change."""
    document = tmp_path / "routing.yaml"
    document.write_text(ROUTES)
    folders = [tmp_path / "a", tmp_path / "b"]
    with FakePowerJob() as fake, ExitStack() as stack:
        failed(fake)
        for folder in folders:
            flags = configured(folder, fake, audit_db=f"sqlite:///{tmp_path}/audit.db")
            stack.enter_context(SidecarProcess(f"file:{document}", *flags, folder=folder))
        write(document, SWITCHED)
        states = [folder / "state" for folder in folders]
        eventually(lambda: moved(*states) == RUNS, "one report", within=60)
        done = [state / "followers" / "reaction back" for state in states]
        eventually(
            lambda: all(any(record.text == SWITCHED for record in records(state)) for state in states), "both audits"
        )
        newest = [max(record.at_ns for record in records(state) if record.text == SWITCHED) for state in states]
        eventually(
            lambda: all(json.loads(file.read_text())["done_ns"] >= at for file, at in zip(done, newest, strict=True)),
            "both are done with the change",
            within=60,
        )
    assert fake.named("retryInstance") == RUNS
    assert moved(*states) == RUNS


def test_a_document_that_moves_nothing(tmp_path: Path) -> None:
    """Only what moves work is reacted to."""
    document, own = tmp_path / "routing.yaml", tmp_path / "own"
    document.write_text(ROUTES)
    with FakePowerJob() as fake:
        failed(fake)
        with SidecarProcess(f"file:{document}", *configured(own, fake), folder=own) as sidecar:
            write(document, ROUTES + "\nmeta: {by: lin}")
            served(sidecar, ROUTES + "\nmeta: {by: lin}")
            eventually(lambda: len(records(own / "state")) == 2, "the record")
            assert sidecar.end() == 0
    assert fake.calls == []
