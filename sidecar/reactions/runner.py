"""The reactions of a sidecar: consumers of the audit. With a shared database one sidecar reacts for the fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.audit.anchor import Anchor
from sidecar.audit.consumer import ConsumerTask, RecordConsumer
from sidecar.audit.event import AuditEvent
from sidecar.audit.journal_reader import FOLDER as AUDIT_FOLDER
from sidecar.audit.record import Record
from sidecar.counters import RescheduleCounts, TaskStatus
from sidecar.errors import DependencyUnavailable, TaskDeferred, TaskFailed
from sidecar.reactions import actions
from sidecar.reactions.settings import LEASE_S, Reaction, read_reactions
from sidecar.routing.state import State

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase
    from sidecar.reactions.celery_moves import CeleryMoves
    from sidecar.reactions.rescheduling import Rescheduling
    from sidecar.reactions.resharding import Resharding

_RENEW_S = LEASE_S / 3
# How long a webhook waits for the shared database before it is called without a claim.
_CLAIM_PATIENCE_S = 60.0

Perform = Callable[[Reaction, Record, tuple[AuditEvent, ...]], None]


class Reactions:
    """The reactions that the configuration lists; none delays another. Raises ConfigError.

    `claims` is the database through which a fleet agrees on who reacts, None where each sidecar reacts for itself.
    `anchor_of` returns a signed head of the audit that covers a record, for webhooks and commands. `state` returns the
    State in force, `report` takes a record of what a reaction did.
    """

    def __init__(
        self,
        tree: object,
        *,
        source: str,
        state_dir: Path | None,
        claims: AuditDatabase | None = None,
        perform: Perform | None = None,
        anchor_of: Callable[[Record], Anchor | None] = lambda _: None,
        state: Callable[[], State | None] = lambda: None,
        report: Callable[[Record], None] = lambda _: None,
    ) -> None:
        journal = state_dir / AUDIT_FOLDER if state_dir is not None else None
        self._state = state
        self._report = report
        self._state_dir = state_dir
        self._claims = claims
        self._rescheduling: list[Rescheduling | CeleryMoves | Resharding] = []
        perform = perform or partial(actions.perform, anchor_of=anchor_of)
        self._consumers = tuple(
            RecordConsumer(self._task(reaction, perform), source=source, state_dir=state_dir, journal=journal)
            for reaction in read_reactions(tree)
        )

    def start(self) -> None:
        """Start all."""
        for consumer in self._consumers:
            consumer.start()

    def stop(self, timeout: float) -> None:
        """Stop all within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for rescheduling in self._rescheduling:
            rescheduling.stop()
        for consumer in self._consumers:
            consumer.stop(max(0.0, deadline - time.monotonic()))

    def dispatch(self, record: Record) -> None:
        """Enqueue a record for each reaction; returns at once."""
        for rescheduling in self._rescheduling:
            rescheduling.notify(record)
        for consumer in self._consumers:
            consumer.enqueue(record)

    @property
    def tasks(self) -> tuple[Callable[[], TaskStatus], ...]:
        """Return the status of each reaction."""
        return tuple(consumer.status for consumer in self._consumers)

    def _task(self, reaction: Reaction, perform: Perform) -> ConsumerTask:
        rescheduling: Callable[[], RescheduleCounts | None] = _no_counts
        if reaction.powerjob is not None:
            perform, rescheduling = self._reschedule(reaction)
        elif reaction.celery is not None:
            perform, rescheduling = self._move_tasks(reaction)
        elif reaction.elasticjob is not None:
            perform, rescheduling = self._reshard(reaction)
        claims = self._claims
        act = partial(_react, reaction, perform) if claims is None else partial(_react_once, reaction, perform, claims)
        return ConsumerTask(
            name=f"reaction {reaction.name}",
            act=act,
            wanted=lambda record: bool(reaction.wanted(record)),
            retry_for=reaction.retry_for,
            rescheduling=rescheduling,
        )

    def _reschedule(self, reaction: Reaction) -> tuple[Perform, Callable[[], RescheduleCounts | None]]:
        from sidecar.reactions.rescheduling import Rescheduling  # noqa: PLC0415 - only where it is configured

        rescheduling = Rescheduling(
            reaction,
            state=self._state,
            report=self._report,
            state_dir=self._state_dir,
            claims=self._claims,
        )
        self._rescheduling.append(rescheduling)
        return lambda _, record, events: rescheduling(record, events), lambda: rescheduling.counts

    def _move_tasks(self, reaction: Reaction) -> tuple[Perform, Callable[[], RescheduleCounts | None]]:
        from sidecar.reactions.celery_moves import CeleryMoves  # noqa: PLC0415 - only where it is configured

        moves = CeleryMoves(reaction, state=self._state, report=self._report, claims=self._claims)
        self._rescheduling.append(moves)
        return lambda _, record, events: moves(record, events), lambda: moves.counts

    def _reshard(self, reaction: Reaction) -> tuple[Perform, Callable[[], RescheduleCounts | None]]:
        from sidecar.reactions.resharding import Resharding  # noqa: PLC0415 - only where it is configured

        resharding = Resharding(reaction, state=self._state, report=self._report, claims=self._claims)
        self._rescheduling.append(resharding)
        return lambda _, record, events: resharding(record, events), lambda: resharding.counts


@contextmanager
def _renewed(claims: AuditDatabase, record: Record, reaction: Reaction) -> Iterator[None]:
    """Renew a claim until the end, however long an attempt takes."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(_RENEW_S):
            # If the database is away, no other sidecar can take the claim over either.
            with suppress(DependencyUnavailable, TaskDeferred):
                claims.claim(record, reaction.name, LEASE_S)

    thread = threading.Thread(target=renew, name="renew-claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _no_counts() -> None:
    return None


def _react(reaction: Reaction, perform: Perform, record: Record) -> None:
    perform(reaction, record, reaction.wanted(record))


def _react_once(reaction: Reaction, perform: Perform, claims: AuditDatabase, record: Record) -> None:
    """React for the fleet, unless another sidecar does or did.

    While the database is unavailable a webhook is called all the same: an alarm may come twice, but never not at all.
    """
    try:
        claimed = claims.claim(record, reaction.name, LEASE_S)
    except DependencyUnavailable:
        if reaction.command or time.time_ns() - record.at_ns < _CLAIM_PATIENCE_S * 1e9:
            raise
        _react(reaction, perform, record)
        return
    if claimed:
        try:
            with _renewed(claims, record, reaction):
                _react(reaction, perform, record)
        except TaskFailed as error:
            # Another sidecar may succeed where this one failed, as long as there is time.
            last = error.final or (time.time_ns() - record.at_ns) / 1e9 > reaction.retry_for
            claims.release(record, reaction.name, done=last)
            raise
        claims.release(record, reaction.name, done=True)
