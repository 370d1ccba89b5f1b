"""Answers of a sidecar as values: what was sent arrives, and an older sidecar's answer is understood."""

from __future__ import annotations

from sidecar.client import Fault, FaultKind, Outage, OutageKind, ProbeFailure
from sidecar.client.values import outage, status
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.document import parse_document
from sidecar.routing.outage import unhealthy
from sidecar.routing.state import State
from sidecar.server.routes import outages

S = 10**9
FAULT = Fault(FaultKind.PROBES, probes=(ProbeFailure("tcp gw:1", "refused"),), since_ns=7 * S)


def test_an_outage_arrives_as_it_was_sent() -> None:
    """Kind, times, reason and fault, through the bytes of the call."""
    text = b"{default: dc1, drills: [{datacenter: dc2, until: '1970-01-01T00:00:09Z', reason: Q4}]}"
    state = State(parse_document(text), 1, 0, unhealthy={"dc1": unhealthy(FAULT)})
    sent = pb.SidecarStatus(source_state=pb.SOURCE_STATE_SYNCED, outages=outages(state)).SerializeToString()
    assert status(pb.SidecarStatus.FromString(sent)).outages == (
        Outage(
            "dc1",
            "",
            "probes: tcp gw:1: refused, since 1970-01-01T00:00:07Z",
            OutageKind.UNHEALTHY,
            since_ms=7000,
            fault=FAULT,
        ),
        Outage("dc2", "", "drill: Q4", OutageKind.DRILL, until_ms=9000, drill_reason="Q4"),
    )


def test_an_older_sidecar_sends_the_text_only() -> None:
    """Then the kind is not known, and a fault is not made up."""
    assert outage(pb.AppRoute.Outage(datacenter="dc1", reason="marked")) == Outage("dc1", "", "marked", None)


def test_a_kind_of_a_newer_sidecar_is_not_an_error() -> None:
    """It is not known, and its fault is one that has a text at most."""
    sent = pb.AppRoute.Outage(datacenter="dc1", reason="frozen", kind=99, fault=pb.Fault(kind=99, text="new"))  # type: ignore[arg-type]
    assert outage(sent) == Outage("dc1", "", "frozen", None, fault=Fault(FaultKind.OTHER, text="new"))
