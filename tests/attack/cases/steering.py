"""Forged calls that try to move the work of others."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.attack.attack import Attack, Stage
from tests.attack.texts import document, workers
from tests.harness import Client

# The independent caller asks for this application, so steering it makes answers wrong.
_STEERED = document(default="{active: dc1, backups: [dc2, dc3], failover: {back: manual}}")
_VICTIM = "caller-active"


def _requests(app: str, count: int) -> list[pb.FilterWorkersRequest]:
    """Return distinct requests that claim that an application has workers in dc2 only."""
    return [
        pb.FilterWorkersRequest(
            app=app, job=str(number), instance=str(number), candidates=workers(["dc2"], 1 + number % 5)
        )
        for number in range(count)
    ]


def _by_calls(stage: Stage) -> None:
    with Client(stage.sidecar.target) as client:
        for request in _requests(_VICTIM, 1):
            client.filter(request)
        stage.wait()


def _by_many_calls(stage: Stage) -> None:
    with Client(stage.sidecar.target) as client:
        for number in stage.rounds(every=0.02):
            client.filter(_requests(_VICTIM, number + 1)[-1])


def _by_command(stage: Stage) -> None:
    for _ in stage.rounds(every=0.5):
        done = stage.sidecar.run("filter", _VICTIM, "--job", "1", "--candidates", "dc2=3", "-o", "json")
        stage.expect(done.returncode == 0, f"dc-sidecar filter ended with {done.returncode}: {done.stderr[-300:]!r}")
    stage.wait()


def _by_page(stage: Stage) -> None:
    path = f"/v1/explain?app={quote(_VICTIM)}&job=1&candidates=dc2%3D3"
    for _ in stage.rounds(every=0.1):
        status, body = stage.sidecar.get(path)
        stage.expect(status == 200, f"{path} answered {status}: {body[:200]!r}")


def _lift_guard(stage: Stage) -> None:
    """Claim workers in dc3, where there are none, and try to switch there."""
    sidecar = stage.sidecar
    target = f"unix:{sidecar.socket}"
    words: tuple[str, ...] = ("switch", "billing", "dc3", "--reason", "attack", "--yes", "--dry-run")
    words = (*words, "--require-workers", "1", "--sidecar", target)
    with Client(sidecar.target) as client:
        client.filter(
            pb.FilterWorkersRequest(app="billing", job="1", candidates=workers(["dc1", "dc2"]), dispatch=True)
        )
        before = sidecar.run(*words)
        stage.expect(
            before.returncode != 0,
            f"without the attack `switch` was allowed already: {before.stdout[-200:]!r}",
        )
        made_up = pb.FilterWorkersRequest(app="billing", job="2", candidates=workers(["dc3"], 5))
        for dispatch in (False, True):
            made_up.dispatch = dispatch
            client.filter(made_up)
            after = sidecar.run(*words)
            kind = "dispatch" if dispatch else "question"
            stage.note(f"before: {_last(before.stderr)}; after a {kind}: {_last(after.stderr) or _last(after.stdout)}")
            stage.expect(after.returncode != 0, f"one made-up {kind} lifted the `workers` guard of `switch`")


def _last(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1][:160] if lines else ""


def _names_of_outages(stage: Stage) -> None:
    """Make unknown applications fail over; nothing of them may be kept or shown."""
    with Client(stage.sidecar.target) as client:
        for number in range(300):
            client.filter(
                pb.FilterWorkersRequest(app=f"made-up-{number}", job="1", candidates=workers(["dc2"], 1), dispatch=True)
            )
        time.sleep(min(stage.left, 1.5))
        shown = [outage.app for outage in client.status().outages if outage.app.startswith("made-up")]
        stage.expect(not shown, f"{len(shown)} applications that the document does not have are shown as failed over")
    kept = stage.sidecar.state_dir / "failovers"
    if kept.exists():
        names = [entry[0] for entry in json.loads(kept.read_bytes()).get("left", [])]
        made_up = [name for name in names if name.startswith("made-up")]
        stage.expect(not made_up, f"{len(made_up)} of them are kept on disk")


ATTACKS = [
    Attack(
        name="steer-one-call",
        run=_by_calls,
        item="1",
        product="A call that is no dispatch of a trusted caller changes nothing for others.",
        document=lambda: _STEERED,
        short=True,
    ),
    Attack(
        name="steer-many-calls",
        run=_by_many_calls,
        item="1",
        product="Many distinct calls that are no dispatches of a trusted caller change nothing for others.",
        document=lambda: _STEERED,
    ),
    Attack(
        name="steer-command",
        run=_by_command,
        item="1",
        product="`dc-sidecar filter` reads only.",
        document=lambda: _STEERED,
    ),
    Attack(
        name="steer-page",
        run=_by_page,
        item="1",
        product="The what-if of the page reads only.",
        document=lambda: _STEERED,
    ),
    Attack(
        name="steer-workers-guard",
        run=_lift_guard,
        item="1",
        product="The `workers` guard of `switch` needs evidence of several dispatches, as failover does.",
        document=lambda: document("  billing: {active: dc1, backups: [dc2]}\n"),
        calls=False,
        short=True,
    ),
    Attack(
        name="steer-made-up-names",
        run=_names_of_outages,
        item="2",
        product="Applications that the document does not name are kept neither in memory nor on disk, and not shown.",
        document=lambda: _STEERED,
        short=True,
    ),
]
