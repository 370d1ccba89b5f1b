"""All reactions of a sidecar, each a follower of the audit; with a shared database, each change for one sidecar."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.audit.consumer import ConsumerTask, DependencyUnavailable, RecordConsumer, TaskFailed
from sidecar.audit.journal_reader import FOLDER as AUDIT_FOLDER
from sidecar.audit.record import AuditEvent, Record
from sidecar.counters import TaskStatus
from sidecar.reactions.actions import perform
from sidecar.reactions.settings import Reaction, read_reactions
from sidecar.routing.state import State

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase
    from sidecar.reactions.rescheduling import Rescheduling

# How long a change waits for the shared database before a webhook is told of it without.
_PATIENCE_S = 60.0

Perform = Callable[[Reaction, Record, tuple[AuditEvent, ...]], None]


class Reactions:
    """The reactions that the configuration lists; none delays another. Raises ConfigError.

    `claims` are those of a fleet, None where each sidecar acts for itself. `state` tells what decides now.
    """

    def __init__(
        self,
        tree: object,
        *,
        source: str,
        state_dir: Path | None,
        claims: AuditDatabase | None = None,
        perform: Perform = perform,
        state: Callable[[], State | None] = lambda: None,
    ) -> None:
        journal = state_dir / AUDIT_FOLDER if state_dir is not None else None
        self._state = state
        self._state_dir = state_dir
        self._claims = claims
        self._report: Callable[[Record], None] = lambda _: None
        self._rescheduling: list[Rescheduling] = []
        self._followers = tuple(
            RecordConsumer(self._task(reaction, perform), source=source, state_dir=state_dir, journal=journal)
            for reaction in read_reactions(tree)
        )

    def report_to(self, report: Callable[[Record], None]) -> None:
        """Have what reactions did told to the audit."""
        self._report = report

    def start(self) -> None:
        """Begin all."""
        for follower in self._followers:
            follower.start()

    def stop(self, timeout: float) -> None:
        """End all within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for rescheduling in self._rescheduling:
            rescheduling.stop()
        for follower in self._followers:
            follower.stop(max(0.0, deadline - time.monotonic()))

    def take(self, record: Record) -> None:
        """Hand a record to each of them; returns at once."""
        for rescheduling in self._rescheduling:
            rescheduling.note(record)
        for follower in self._followers:
            follower.take(record)

    @property
    def tasks(self) -> tuple[Callable[[], TaskStatus], ...]:
        """What tells how each of them stands."""
        return tuple(follower.standing for follower in self._followers)

    def _tell(self, record: Record) -> None:
        self._report(record)

    def _task(self, reaction: Reaction, perform: Perform) -> ConsumerTask:
        if reaction.powerjob is not None:
            perform = self._reschedule(reaction)
        claims = self._claims
        do = partial(_alone, reaction, perform) if claims is None else partial(_for_all, reaction, perform, claims)
        return ConsumerTask(
            name=f"reaction {reaction.name}",
            act=do,
            wanted=lambda record: bool(reaction.wanted(record)),
            retry_for=reaction.retry_for,
        )

    def _reschedule(self, reaction: Reaction) -> Perform:
        from sidecar.reactions.rescheduling import Rescheduling  # noqa: PLC0415 - only where it is asked for

        rescheduling = Rescheduling(
            reaction,
            state=self._state,
            report=self._tell,
            state_dir=self._state_dir,
            claims=self._claims,
        )
        self._rescheduling.append(rescheduling)
        return lambda _, record, events: rescheduling(record, events)


def _alone(reaction: Reaction, perform: Perform, record: Record) -> None:
    perform(reaction, record, reaction.wanted(record))


def _for_all(reaction: Reaction, perform: Perform, claims: AuditDatabase, record: Record) -> None:
    """Act for the fleet, if no other sidecar does or did. While the database is away an alarm goes before silence."""
    try:
        mine = claims.claim(record, reaction.name, reaction.lease)
    except DependencyUnavailable:
        if reaction.command or time.time_ns() - record.at_ns < _PATIENCE_S * 1e9:
            raise
        _alone(reaction, perform, record)
        return
    if mine:
        try:
            _alone(reaction, perform, record)
        except TaskFailed as error:
            # Where this one fails another may do better, as long as there is time.
            last = error.final or (time.time_ns() - record.at_ns) / 1e9 > reaction.retry_for
            claims.end(record, reaction.name, done=last)
            raise
        claims.end(record, reaction.name, done=True)
