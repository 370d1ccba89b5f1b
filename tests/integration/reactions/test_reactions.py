"""The reactions of a real sidecar, with hanging receivers and across kills."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

from tests.harness import Caller, SidecarProcess
from tests.integration.audit.test_audit import served, write
from tests.integration.cli.commands import run
from tests.unit.reactions.receiver import Receiver
from tests.waiting import eventually


def announced(receiver: Receiver) -> list[str]:
    """Return where work went, by what a receiver was sent, each change once."""
    bodies = {body["delivery"]: body for body in map(json.loads, receiver.bodies)}
    return [event.get("after", event["kind"]) for body in bodies.values() for event in body["events"]]


def page(sidecar: SidecarProcess) -> str:
    """Return where the metrics of a sidecar are, by its log."""
    found = re.search(r"http://127\.0\.0\.1:[0-9]+", sidecar.log_text())
    assert found
    return f"{found[0]}/metrics"


def configured(folder: Path, *reactions: object) -> tuple[str, ...]:
    """Return the flags of a sidecar with these reactions."""
    file = folder / "sidecar.yaml"
    file.write_text(json.dumps({"reactions": reactions, "state-dir": str(folder / "state"), "http": "127.0.0.1:0"}))
    return "--config", str(file)


def test_a_switch_is_told_while_another_receiver_hangs(tmp_path: Path) -> None:
    """A webhook that never answers delays no decision, no command, and no other webhook; the end is on time too."""
    document, out = tmp_path / "routing.yaml", tmp_path / "out"
    document.write_text("dc1")
    free = threading.Event()

    def hang(_: int) -> tuple[int, bytes]:
        free.wait(60)
        return 200, b""

    script = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read() + '\\n')"
    with Receiver(hang) as dead, Receiver() as well:
        flags = configured(
            tmp_path,
            {"name": "dead", "webhook": dead.url, "timeout": "30s"},
            {"name": "chat", "webhook": well.url, "format": "json"},
            {"name": "reschedule", "command": [sys.executable, "-c", script], "on": ["switch"]},
        )
        with SidecarProcess(f"file:{document}", *flags, folder=tmp_path) as sidecar, Caller(sidecar.address) as caller:
            for text in ("dc2", "dc3"):
                write(document, text)
                served(sidecar, text)
            eventually(lambda: announced(well) == ["dc2", "dc3"], "both switches")
            write(document, "default: [")
            eventually(lambda: announced(well) == ["dc2", "dc3", "refused"], "the refusal")
            scraped = urlopen(page(sidecar), timeout=5).read().decode()
            assert 'dc_sidecar_task_waiting{task="reaction dead"} 3.0' in scraped
            assert 'dc_sidecar_task_done_total{task="reaction chat"} 3.0' in scraped
            eventually(lambda: out.exists() and out.read_text().count("\n") == 2, "both runs of the command")
            caller.until(lambda answer: answer.datacenter == "dc3", "decisions by the newest document")
            caller.stop()
            began = time.monotonic()
            assert sidecar.end() == 0
            assert time.monotonic() - began < 10
        caller.no_failures()
        assert len(dead.bodies) == 1
        free.set()


def test_a_kill_forgets_no_switch(tmp_path: Path) -> None:
    """Deliveries that failed before a kill are made after it, in order."""
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    ill = [True]
    with Receiver(lambda _: (503 if ill[0] else 200, b"")) as receiver:
        flags = configured(tmp_path, {"name": "chat", "webhook": receiver.url})
        with SidecarProcess(f"file:{document}", *flags, folder=tmp_path) as sidecar:
            for text in ("dc2", "dc3"):
                write(document, text)
                served(sidecar, text)
            eventually(lambda: receiver.bodies, "an attempt")
            sidecar.end(signal.SIGKILL)
            receiver.bodies.clear()
            ill[0] = False
            sidecar.start()
            eventually(lambda: announced(receiver) == ["dc2", "dc3"], "both switches")
            write(document, "dc4")
            eventually(lambda: announced(receiver) == ["dc2", "dc3", "dc4"], "the next switch")


def test_a_wrong_reaction_does_not_start(tmp_path: Path) -> None:
    """An invalid reaction is a configuration error at the start."""
    document = tmp_path / "routing.yaml"
    document.write_text("dc1")
    flags = configured(tmp_path, {"name": "chat", "webhok": "https://h/"})
    ended = run("serve", "--source", f"file:{document}", *flags)
    assert (ended.returncode, "did you mean webhook" in ended.stderr) == (78, True)
