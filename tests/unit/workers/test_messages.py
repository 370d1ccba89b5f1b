"""What goes between the sidecar and its worker processes arrives as it was, however the socket cuts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.failover import FailoverState, Observation, Phase
from sidecar.routing.outage import NO_WORKERS, Fault, FaultKind, ProbeFailure, unhealthy
from sidecar.routing.state import State
from sidecar.server.settings import ServerSettings
from sidecar.sources.base import Gray
from sidecar.view import HealthNotice, Override, OverrideProblem, OverrideProblemKind, View
from sidecar.wording import view_text
from sidecar.workers.messages import (
    Ack,
    ActivateView,
    AnnounceView,
    Command,
    Configure,
    FrameDecoder,
    LoadDocument,
    MethodDelta,
    ObservationReport,
    SetLogLevel,
    StartFailed,
    StartListening,
    StatsReport,
    StopServing,
    WorkerReport,
    frame,
)
from tests.views import NOTHING, view_of

TEXT = b"default: {active: dc1, backups: [dc2], failover: {after: 5s}}"


def a_view() -> View:
    """Return a view in which everything is there."""
    failover_states = {(("billing", "7"), "dc1"): FailoverState(Phase.FAILED, 2, 1, NO_WORKERS)}
    fault = Fault(FaultKind.PROBES, probes=(ProbeFailure("tcp x:1", "refused"),), since_ns=4)
    judged = {"dc2": unhealthy(fault)}
    state = State(parse_document(TEXT), 3, 5, stale=True, unhealthy=judged, failover_states=failover_states)
    status = SourceStatus(
        state=SourceState.DISCONNECTED,
        error="away",
        applied_at_ns=7,
        confirmed_at_ns=9,
        from_snapshot=True,
        gray=Gray("beta", ("192.0.2.7",)),
        gray_since_ns=11,
    )
    override = Override("file:/o", problem=OverrideProblem(OverrideProblemKind.UNREADABLE, "no such file"))
    return replace(
        view_of(state, TEXT, status=status), override=override, overdue=True, health=HealthNotice(ignored=judged)
    )


def test_orders_arrive_byte_by_byte() -> None:
    """Every order arrives as it was sent, also when each byte comes alone."""
    settings = ServerSettings(listen=("127.0.0.1:1", "[::1]:1"), tls_cert=Path("/tls/cert"))
    orders: list[Command] = [
        Configure(settings, "file:/routing.yaml", 1, "json", "info"),
        LoadDocument("abc", TEXT * 1000),
        ActivateView.of(a_view()),
        ActivateView.of(NOTHING),
        AnnounceView(),
        StartListening(),
        SetLogLevel("debug"),
        StopServing(1.5),
    ]
    frames: FrameDecoder[Command] = FrameDecoder(Command)
    sent = b"".join(map(frame, orders))
    assert [order for index in range(len(sent)) for order in frames.feed(sent[index : index + 1])] == orders


def test_reports_arrive_together() -> None:
    """Every report arrives as it was sent, also when all come at once."""
    reports: list[WorkerReport] = [
        Ack(),
        StartFailed("the port is in use"),
        StatsReport([(("billing", "dc1", "ACTIVE"), 2)], [MethodDelta("/p.S/M", "unary", 3, [("OK", 2)], [1, 2], 0.5)]),
        ObservationReport([Observation(("billing", ""), {"dc1": NO_WORKERS}, ("dc2",))]),
    ]
    assert list(FrameDecoder[WorkerReport](WorkerReport).feed(b"".join(map(frame, reports)))) == reports


def test_what_is_no_frame_is_refused() -> None:
    """A length that none of ours has is an error, and not waited for."""
    with pytest.raises(ValueError, match="found a frame of"):
        list(FrameDecoder[Command](Command).feed(b"\xff\xff\xff\xff"))


def test_a_view_answers_as_the_one_it_was_made_of() -> None:
    """What calls are answered from a view is the same after the way to a worker process."""
    view = a_view()
    (sent,) = FrameDecoder[ActivateView](ActivateView).feed(frame(ActivateView.of(view)))
    assert sent.decides is not None
    made = sent.view(sent.decides.state(parse_document(TEXT)))
    assert made.state == view.state
    assert made.state is not None
    assert view.state is not None
    assert (made.state.out, made.state.failed_over) == (view.state.out, view.state.failed_over)
    assert (view_text(made), made.ready, made.applied_at_ns) == (view_text(view), view.ready, view.applied_at_ns)
    assert (made.status.state, made.status.confirmed_at_ns, made.status.from_snapshot) == (
        SourceState.DISCONNECTED,
        9,
        True,
    )
