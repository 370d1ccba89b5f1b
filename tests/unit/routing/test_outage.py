"""Outages as values, and what they are in English and in JSON."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.routing.model import Drill
from sidecar.routing.outage import (
    MARKED,
    NO_WORKERS,
    Fault,
    FaultKind,
    Outage,
    OutageKind,
    ProbeFailure,
    drilled,
    unhealthy,
)
from sidecar.routing.plain import outage_plain
from sidecar.routing.wording import outage_text

S = 10**9
FEW = Fault(FaultKind.TOO_FEW_WORKERS, workers=1, needed=2)
PROBES = Fault(
    FaultKind.PROBES, probes=(ProbeFailure("tcp a:1", "refused"), ProbeFailure("grpc b:2", "timeout")), since_ns=3 * S
)
OTHER = Fault(FaultKind.OTHER, text="as an older version said it")

CASES: list[tuple[Outage, str, dict[str, Any]]] = [
    (MARKED, "marked", {"kind": "marked"}),
    (Outage(OutageKind.DRILL), "drill", {"kind": "drill"}),
    (
        Outage(OutageKind.DRILL, since_ns=S, until_ns=2 * S, reason="Q4"),
        "drill: Q4",
        {"kind": "drill", "since": "1970-01-01T00:00:01Z", "until": "1970-01-01T00:00:02Z", "reason": "Q4"},
    ),
    (
        unhealthy(PROBES),
        "probes: tcp a:1: refused, grpc b:2: timeout, since 1970-01-01T00:00:03Z",
        {
            "kind": "unhealthy",
            "since": "1970-01-01T00:00:03Z",
            "fault": {
                "kind": "probes",
                "probes": [{"probe": "tcp a:1", "error": "refused"}, {"probe": "grpc b:2", "error": "timeout"}],
                "since": "1970-01-01T00:00:03Z",
            },
        },
    ),
    (
        Outage(OutageKind.FAILED_OVER, since_ns=S, fault=FEW),
        "failed over: 1 of 2 workers, since 1970-01-01T00:00:01Z",
        {
            "kind": "failed-over",
            "since": "1970-01-01T00:00:01Z",
            "fault": {"kind": "too-few-workers", "workers": 1, "needed": 2},
        },
    ),
    (
        Outage(OutageKind.FAILED_OVER, since_ns=S, fault=NO_WORKERS),
        "failed over: no workers, since 1970-01-01T00:00:01Z",
        {"kind": "failed-over", "since": "1970-01-01T00:00:01Z", "fault": {"kind": "no-workers"}},
    ),
    (
        unhealthy(OTHER),
        "as an older version said it",
        {"kind": "unhealthy", "fault": {"kind": "other", "text": "as an older version said it"}},
    ),
]


@pytest.mark.parametrize(("outage", "text", "plain"), CASES)
def test_an_outage_is_told_in_english_and_in_json(outage: Outage, text: str, plain: dict[str, Any]) -> None:
    """Every kind has its text, and its parameters as JSON, without those that say nothing."""
    assert outage_text(outage) == text
    assert outage_plain(outage) == plain


def test_of_several_drills_the_last_reason_and_the_latest_end_count() -> None:
    """Two drills of one datacenter are one outage, which ends when both have."""
    drills = (Drill("dc1", 9 * S, S, None, "first"), Drill("dc1", 5 * S, None, None, "second"), Drill("dc2", 7 * S))
    assert drilled(drills) == {
        "dc1": Outage(OutageKind.DRILL, 0, 9 * S, "second"),
        "dc2": Outage(OutageKind.DRILL, 0, 7 * S),
    }


def test_a_drill_that_is_prolonged_is_the_same_outage() -> None:
    """The cause leaves out the times of a drill, and keeps since when probes have failed."""
    drill = Outage(OutageKind.DRILL, since_ns=S, until_ns=2 * S, reason="Q4")
    assert drill.cause == Outage(OutageKind.DRILL, reason="Q4")
    assert unhealthy(PROBES).cause == unhealthy(PROBES)
