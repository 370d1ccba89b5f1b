"""The work of a reaction that takes minutes after a change: it settles, then searches again and again for a time."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.audit.event import AuditEvent
from sidecar.audit.record import Record, RecordCause
from sidecar.counters import RescheduleCounts
from sidecar.errors import TaskDeferred
from sidecar.reactions.claim_renewal import ClaimRenewal
from sidecar.reactions.settings import Reaction
from sidecar.routing.state import State

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReactionContext:
    """The parts of the sidecar that follow-ups work with.

    `state` returns the State in force, `report` takes a record of what was done. `claims` is the database in which a
    fleet claims changes, None without one; `state_dir` is where progress is kept, None not to keep it.
    """

    state: Callable[[], State | None]
    report: Callable[[Record], None]
    claims: AuditDatabase | None = None
    state_dir: Path | None = None


class FollowUp(ABC):
    """Searches for `watch_for` seconds after a change, every `every_s` seconds, and ends early for a newer change.

    The first search comes `settle_s` seconds after the change. While it works on a change it renews its claim. When the
    sidecar stops it raises TaskDeferred, and continues after the next start.
    """

    def __init__(
        self,
        reaction: Reaction,
        context: ReactionContext,
        *,
        watch_for: float,
        settle_s: float,
        every_s: float,
    ) -> None:
        self._state = context.state
        self._report = context.report
        self._claim = ClaimRenewal(context.claims, reaction)
        self._counts: RescheduleCounts | None = None
        self._wanted = reaction.wanted
        self._watch_for = watch_for
        self._settle_s = settle_s
        self._every_s = every_s
        self._newest_ns = 0
        self._stopping = threading.Event()
        # Ends the wait between two searches.
        self._wake = threading.Event()

    @property
    def counts(self) -> RescheduleCounts | None:
        """How far the work on the current change is; None while there is none."""
        return self._counts

    def notify(self, record: Record) -> None:
        """Note a change that is enqueued: the work on an earlier one need not go on."""
        if self._wanted(record):
            self._newest_ns = record.at_ns
            self._wake.set()

    def stop(self) -> None:
        """Make the current work end soon."""
        self._stopping.set()
        self._wake.set()

    @abstractmethod
    def __call__(self, record: Record, events: Sequence[AuditEvent]) -> None:
        """Follow up a change. Raises TaskFailed, TaskDeferred."""

    def _follow(self, record: Record, search: Callable[[], None]) -> bool:
        """Search until the time is over; return False if a newer change came first. Raises the errors of `search`."""
        until = record.at_ns / 1e9 + self._watch_for
        self._stopping.wait(max(0.0, record.at_ns / 1e9 + self._settle_s - time.time()))
        while not self._superseded(record):
            self._wake.clear()
            search()
            if self._superseded(record):
                return False
            if time.time() >= until:
                return True
            self._claim.renew(record)
            self._wake.wait(min(self._every_s, max(0.0, until - time.time())))
        return False

    def _report_done(self, change: Record, events: Sequence[AuditEvent], changes: Sequence[str] = ()) -> None:
        """Log and record what was done after a change."""
        for event in events:
            log.info("rescheduled: %s", event.text)
        state = self._state()
        self._report(
            Record(
                at_ns=time.time_ns(),
                source=change.source,
                cause=RecordCause.REACTION,
                events=tuple(events),
                revision=state.document.revision if state else "",
                changes=tuple(changes),
            )
        )

    def _superseded(self, record: Record) -> bool:
        """Return whether a newer change is enqueued. Raises TaskDeferred."""
        if self._stopping.is_set():
            raise TaskDeferred("the sidecar is stopping")
        return self._newest_ns > record.at_ns
