"""Keeping worker processes alive, where there is none to be had."""

from __future__ import annotations

import errno

import pytest

from sidecar.errors import SidecarError
from sidecar.routing.document import parse_document
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from sidecar.workers.supervisor import Slot, Supervisor


def test_a_short_life_makes_the_next_wait_longer() -> None:
    """Who dies at once again and again is tried ever less often, up to every half minute; a real life starts anew."""
    slot, pauses = Slot(), []
    for _ in range(12):
        slot.vacate(100.0, 1.0)
        pauses.append(slot.due - 100.0)
    assert 0.15 < pauses[0] < 0.25
    assert all(24 <= pause <= 36 for pause in pauses[-3:])
    slot.vacate(100.0, 3600.0)
    assert slot.due == 100.0
    slot.vacate(100.0, 1.0)
    assert slot.due < 100.25


def test_no_process_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no process the start ends with its reason, and the table is not held up by anybody."""

    def none() -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("sidecar.workers.supervisor.WorkerProcess", none)
    supervisor = Supervisor(
        ServerSettings(listen=("127.0.0.1:0",)), workers=2, source="file:/x", max_document_size=1, log_format="console"
    )
    supervisor.follow(RoutingTable())
    with pytest.raises(SidecarError, match="cannot be started: Resource temporarily unavailable"):
        supervisor.start()
    assert supervisor.standing().serving == 0
    assert supervisor.together(parse_document)(b"dc1").default.selector is not None
