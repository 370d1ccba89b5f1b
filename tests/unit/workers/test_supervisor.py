"""Worker processes are restarted with backoff, and a start without any fails."""

from __future__ import annotations

import errno

import pytest

from sidecar.errors import SidecarError
from sidecar.routing.document import parse_document
from sidecar.server.settings import ServerSettings
from sidecar.table import RoutingTable
from sidecar.workers.supervisor import Slot, Supervisor


def test_a_crash_loop_backs_off() -> None:
    """A process that dies at once is restarted ever later, up to every half minute; a long uptime begins anew."""
    slot, pauses = Slot(), []
    for _ in range(12):
        slot.release(1.0)
        pauses.append(slot.backoff.remaining_s)
    assert 0.15 < pauses[0] < 0.25
    assert all(23.9 <= pause <= 36 for pause in pauses[-3:])
    slot.release(3600.0)
    assert slot.backoff.remaining_s == 0
    slot.release(1.0)
    assert slot.backoff.remaining_s < 0.25


def test_no_process_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no process can be started the start fails with the reason, and parsing does not wait for any."""

    def none() -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("sidecar.workers.supervisor.WorkerProcess", none)
    supervisor = Supervisor(
        ServerSettings(listen=("127.0.0.1:0",)), workers=2, source="file:/x", max_document_size=1, log_format="console"
    )
    supervisor.connect(RoutingTable())
    with pytest.raises(SidecarError, match="cannot be started: Resource temporarily unavailable"):
        supervisor.start()
    assert supervisor.processes().serving == 0
    assert supervisor.preloading(parse_document)(b"dc1").default.selector is not None
