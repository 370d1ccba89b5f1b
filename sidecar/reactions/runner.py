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
from sidecar.counters import TaskStatus
from sidecar.errors import DependencyUnavailable, TaskDeferred, TaskFailed
from sidecar.reactions import actions
from sidecar.reactions.follow_up import FollowUp, ReactionContext
from sidecar.reactions.settings import LEASE_S, Reaction, read_reactions
from sidecar.routing.state import State

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

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
        self._context = ReactionContext(state, report, claims, state_dir)
        self._follow_ups: list[FollowUp] = []
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
        for follow_up in self._follow_ups:
            follow_up.stop()
        for consumer in self._consumers:
            consumer.stop(max(0.0, deadline - time.monotonic()))

    def dispatch(self, record: Record) -> None:
        """Enqueue a record for each reaction; returns at once."""
        for follow_up in self._follow_ups:
            follow_up.notify(record)
        for consumer in self._consumers:
            consumer.enqueue(record)

    @property
    def tasks(self) -> tuple[Callable[[], TaskStatus], ...]:
        """Return the status of each reaction."""
        return tuple(consumer.status for consumer in self._consumers)

    def _task(self, reaction: Reaction, perform: Perform) -> ConsumerTask:
        claims = self._context.claims
        follow_up = _follow_up(reaction, self._context)
        if follow_up is not None:
            self._follow_ups.append(follow_up)
            perform = partial(_perform_follow_up, follow_up)
        act = partial(_react, reaction, perform) if claims is None else partial(_react_once, reaction, perform, claims)
        return ConsumerTask(
            name=f"reaction {reaction.name}",
            act=act,
            wanted=lambda record: bool(reaction.wanted(record)),
            retry_for=reaction.retry_for,
            rescheduling=lambda: follow_up.counts if follow_up is not None else None,
        )


def _follow_up(reaction: Reaction, context: ReactionContext) -> FollowUp | None:
    """Return the follow-up of a reaction, None for a webhook or a command; imports only its own module."""
    if reaction.powerjob is not None:
        from sidecar.reactions.rescheduling import Rescheduling  # noqa: PLC0415

        return Rescheduling(reaction, context)
    if reaction.celery is not None:
        from sidecar.reactions.celery_moves import CeleryMoves  # noqa: PLC0415

        return CeleryMoves(reaction, context)
    if reaction.elasticjob is not None:
        from sidecar.reactions.resharding import Resharding  # noqa: PLC0415

        return Resharding(reaction, context)
    return None


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


def _perform_follow_up(follow_up: FollowUp, _: Reaction, record: Record, events: tuple[AuditEvent, ...]) -> None:
    follow_up(record, events)


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
