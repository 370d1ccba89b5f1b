"""Alerts of the status: a kind and its parameters for each thing that an operator must know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.counters import ProcessCounts, RescheduleCounts, TaskStatus
from sidecar.errors import DocumentRejected, Problem
from sidecar.lifecycle import RejectedDocument, SourceState, SourceStatus
from sidecar.routing.outage import MARKED
from sidecar.sources.base import Gray
from sidecar.view import (
    HealthNotice,
    Override,
    OverrideProblem,
    OverrideProblemKind,
    SkippedProbe,
    SkipReason,
    View,
)
from sidecar.web.alerts import AlertKind, alerts, rescheduling
from tests.views import NOTHING, loaded, view

LOST = SourceStatus(SourceState.DISCONNECTED, "timeout")
GOOD = view("dc1")
REFUSAL = RejectedDocument("0123", DocumentRejected((Problem("", "wrong"),)), 1, b"")


def plain(now: View, processes: ProcessCounts | None = None, *, stopping: bool = False) -> list[dict[str, Any]]:
    """Return the alerts of a view as JSON."""
    return [alert.plain() for alert in alerts(now, processes or ProcessCounts(), stopping=stopping)]


SKIPPED = tuple(SkippedProbe(f"dc{number}", "tcp a:1", SkipReason.TOO_MANY, count=64) for number in range(7))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (GOOD, []),
        (NOTHING, [{"kind": "no-document", "state": "CONNECTING"}]),
        (view("dc1", status=LOST), [{"kind": "source", "state": "DISCONNECTED", "error": "timeout"}]),
        (replace(view("dc1", status=LOST), overdue=True), [{"kind": "overdue", "error": "timeout"}]),
        (view("dc1", status=SourceStatus(SourceState.DISCONNECTED, from_snapshot=True)), [{"kind": "snapshot"}]),
        (
            view("dc1", status=replace(LOST, from_snapshot=True)),
            [{"kind": "source", "state": "DISCONNECTED", "error": "timeout"}, {"kind": "snapshot"}],
        ),
        (view("dc1", status=SourceStatus(SourceState.REJECTED, "wrong", refusal=REFUSAL)), []),
        (
            view("dc1", status=SourceStatus(SourceState.SYNCED, gray=Gray("beta", ("a", "b")), gray_since_ns=10**18)),
            [{"kind": "gray", "rule": "beta", "clients": ["a", "b"], "since": "2001-09-09T01:46:40Z"}],
        ),
        (
            replace(GOOD, override=Override("file:/o", loaded("dc9"), 10**18)),
            [{"kind": "overridden", "url": "file:/o", "since": "2001-09-09T01:46:40Z"}],
        ),
        *(
            (
                replace(GOOD, override=Override("file:/o", problem=OverrideProblem(kind, "it"))),
                [{"kind": f"override-{kind.value}", "url": "file:/o", "error": "it"}],
            )
            for kind in OverrideProblemKind
        ),
        (
            replace(GOOD, health=HealthNotice(ignored={"dc1": MARKED})),
            [{"kind": "checks-ignored", "outages": [{"datacenter": "dc1", "kind": "marked"}]}],
        ),
        (
            replace(GOOD, health=HealthNotice(skipped=SKIPPED[:1])),
            [
                {
                    "kind": "probes-skipped",
                    "probes": [{"datacenter": "dc0", "probe": "tcp a:1", "reason": "too-many", "count": 64}],
                    "total": 1,
                }
            ],
        ),
    ],
)
def test_each_thing_has_its_kind_and_parameters(now: View, expected: list[dict[str, Any]]) -> None:
    """What is known once is reported once, and a refused text has a part of its own in the status."""
    assert plain(now) == expected


def test_processes_and_the_end_come_first() -> None:
    """What keeps the sidecar from being ready is reported before everything else."""
    lost = ProcessCounts(wanted=2, serving=0)
    assert plain(view("dc1", status=LOST), lost)[0] == {"kind": "no-process", "count": 2}
    assert plain(GOOD, lost, stopping=True) == [{"kind": "stopping"}]


def test_a_list_of_probes_is_bounded() -> None:
    """Five are named, all are counted."""
    (alert,) = plain(replace(GOOD, health=HealthNotice(skipped=SKIPPED)))
    assert (alert["kind"], len(alert["probes"]), alert["total"]) == (AlertKind.PROBES_SKIPPED.value, 5, 7)


def test_a_reaction_that_reschedules_shows_how_far_it_is() -> None:
    """While it works on a change, and only once it has found something."""
    idle = TaskStatus("reaction a", 0, 1, 0, 0, "")
    begun = TaskStatus("reaction b", 1, 0, 0, 0, "", RescheduleCounts())
    counts = RescheduleCounts(found=9, retried=5, stopped=2, waiting=3)
    working = TaskStatus("reaction c", 1, 0, 0, 0, "", counts)
    (alert,) = rescheduling([idle, begun, working])
    assert alert.plain() == {
        "kind": "rescheduling",
        "name": "reaction c",
        "found": 9,
        "retried": 5,
        "stopped": 2,
        "waiting": 3,
    }
