"""What goes between the sidecar and its worker processes arrives as it was, however the socket cuts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.lifecycle import SourceState, SourceStatus
from sidecar.routing.document import parse_document
from sidecar.routing.failover import Phase, Seen, Standing
from sidecar.routing.state import State
from sidecar.server.settings import ServerSettings
from sidecar.table import Override, View
from sidecar.workers.messages import (
    Begin,
    Called,
    Counted,
    Document,
    Done,
    Frames,
    InForce,
    Listen,
    LogLevel,
    Order,
    Refused,
    Report,
    Showed,
    Stop,
    Told,
    frame,
)

TEXT = b"default: {active: dc1, backups: [dc2], failover: {after: 5s}}"


def a_view() -> View:
    """Return a view in which everything is there."""
    standings = {(("billing", "7"), "dc1"): Standing(Phase.FAILED, 2, 1, "no workers")}
    state = State(parse_document(TEXT), 3, 5, stale=True, unhealthy={"dc2": "tcp x:1"}, standings=standings)
    status = SourceStatus(
        state=SourceState.DISCONNECTED, error="away", applied_at_ns=7, confirmed_at_ns=9, from_snapshot=True
    )
    return View(state, TEXT, status, override=Override("file:/o", error="not read"), overdue=True, health="no probes")


def test_orders_arrive_byte_by_byte() -> None:
    """Every order arrives as it was sent, also when each byte comes alone."""
    settings = ServerSettings(listen=("127.0.0.1:1", "[::1]:1"), tls_cert=Path("/tls/cert"))
    orders: list[Order] = [
        Begin(settings, "file:/routing.yaml", 1, "json", "info"),
        Document("abc", TEXT * 1000),
        InForce.of(a_view()),
        InForce.of(View(None, b"", SourceStatus())),
        Told(),
        Listen(),
        LogLevel("debug"),
        Stop(1.5),
    ]
    frames: Frames[Order] = Frames(Order)
    sent = b"".join(map(frame, orders))
    assert [order for index in range(len(sent)) for order in frames.feed(sent[index : index + 1])] == orders


def test_reports_arrive_together() -> None:
    """Every report arrives as it was sent, also when all come at once."""
    reports: list[Report] = [
        Done(),
        Refused("the port is in use"),
        Counted([(("billing", "dc1", "ACTIVE"), 2)], [Called("/p.S/M", "unary", 3, [("OK", 2)], [1, 2], 0.5)]),
        Showed([Seen(("billing", ""), {"dc1": "no workers"}, ("dc2",))]),
    ]
    assert list(Frames[Report](Report).feed(b"".join(map(frame, reports)))) == reports


def test_what_is_no_frame_is_refused() -> None:
    """A length that none of ours has is an error, and not waited for."""
    with pytest.raises(ValueError, match="found a frame of"):
        list(Frames[Order](Order).feed(b"\xff\xff\xff\xff"))


def test_a_view_answers_as_the_one_it_was_made_of() -> None:
    """What calls are answered from a view is the same after the way to a worker process."""
    view = a_view()
    (sent,) = Frames[InForce](InForce).feed(frame(InForce.of(view)))
    assert sent.decides is not None
    made = sent.view(sent.decides.state(parse_document(TEXT)))
    assert made.state == view.state
    assert made.state is not None
    assert view.state is not None
    assert (made.state.out, made.state.left) == (view.state.out, view.state.left)
    assert (made.error, made.ready, made.applied_at_ns) == (view.error, view.ready, view.applied_at_ns)
    assert (made.status.state, made.status.confirmed_at_ns, made.status.from_snapshot) == (
        SourceState.DISCONNECTED,
        9,
        True,
    )
