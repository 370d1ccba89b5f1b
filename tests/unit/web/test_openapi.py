"""The description of the API names every code that there is."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import sidecar.web
from sidecar.audit.event import EventKind
from sidecar.followers.registry import FollowerKind
from sidecar.lifecycle import SourceState
from sidecar.routing.changes import ChangeKind
from sidecar.routing.decision import Reason
from sidecar.routing.explain import OriginKind, OutcomeKind, VerdictKind
from sidecar.routing.outage import FaultKind, OutageKind
from sidecar.routing.shares import Destination
from sidecar.view import SkipReason
from sidecar.web.alerts import AlertKind

SCHEMAS: dict[str, Any] = json.loads((Path(sidecar.web.__file__).parent / "openapi.json").read_text())["components"][
    "schemas"
]
EXPLANATION = SCHEMAS["Explanation"]["properties"]


@pytest.mark.parametrize(
    ("described", "codes"),
    [
        (SCHEMAS["Alert"]["properties"]["kind"], AlertKind),
        (SCHEMAS["Alert"]["properties"]["probes"]["items"]["properties"]["reason"], SkipReason),
        (SCHEMAS["Event"]["properties"]["kind"], EventKind),
        (SCHEMAS["Fault"]["properties"]["kind"], FaultKind),
        (SCHEMAS["Follower"]["properties"]["kind"], FollowerKind),
        (SCHEMAS["Outage"]["properties"]["kind"], OutageKind),
        (SCHEMAS["RouteChange"]["properties"]["kind"], ChangeKind),
        (SCHEMAS["Shares"]["properties"]["destination"], Destination),
        (EXPLANATION["keys"]["items"]["properties"]["origin_kind"], OriginKind),
        (EXPLANATION["order"]["items"]["properties"]["verdict_kind"], VerdictKind),
        (EXPLANATION["outcome_detail"]["properties"]["kind"], OutcomeKind),
    ],
)
def test_the_kinds_are_those_of_the_code(described: dict[str, list[str]], codes: type[Enum]) -> None:
    """In the description as in the code, in the same order."""
    assert described["enum"] == [code.value for code in codes]


def test_states_and_reasons_are_those_of_the_code() -> None:
    """They go by their names, as in gRPC."""
    assert SCHEMAS["SourceState"]["enum"] == [state.name for state in SourceState]
    assert EXPLANATION["decision"]["properties"]["reason"]["enum"] == [reason.name for reason in Reason]
