"""All reactions of a sidecar, each a follower of the audit; with a shared database, each change for one sidecar."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.audit.follower import Away, Failed, Follower, Task
from sidecar.audit.reading import FOLDER as AUDIT_FOLDER
from sidecar.audit.record import Event, Record
from sidecar.reactions.acting import act
from sidecar.reactions.settings import Reaction, read_reactions
from sidecar.tally import Standing

if TYPE_CHECKING:
    from sidecar.audit.shared import SharedAudit

# How long a change waits for the shared database before a webhook is told of it without.
_PATIENCE_S = 60.0

Act = Callable[[Reaction, Record, tuple[Event, ...]], None]


class Reactions:
    """The reactions that the configuration lists; none delays another. Raises ConfigError.

    `claims` are those of a fleet, None where each sidecar acts for itself.
    """

    def __init__(
        self, tree: object, *, source: str, state_dir: Path | None, claims: SharedAudit | None = None, act: Act = act
    ) -> None:
        journal = state_dir / AUDIT_FOLDER if state_dir is not None else None
        self._followers = tuple(
            Follower(_task(reaction, claims, act), source=source, state_dir=state_dir, journal=journal)
            for reaction in read_reactions(tree)
        )

    def start(self) -> None:
        """Begin all."""
        for follower in self._followers:
            follower.start()

    def stop(self, timeout: float) -> None:
        """End all within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for follower in self._followers:
            follower.stop(max(0.0, deadline - time.monotonic()))

    def take(self, record: Record) -> None:
        """Hand a record to each of them; returns at once."""
        for follower in self._followers:
            follower.take(record)

    @property
    def tasks(self) -> tuple[Callable[[], Standing], ...]:
        """What tells how each of them stands."""
        return tuple(follower.standing for follower in self._followers)


def _task(reaction: Reaction, claims: SharedAudit | None, act: Act) -> Task:
    do = partial(_alone, reaction, act) if claims is None else partial(_for_all, reaction, act, claims)
    return Task(
        name=f"reaction {reaction.name}",
        act=do,
        wanted=lambda record: bool(reaction.wanted(record)),
        retry_for=reaction.retry_for,
    )


def _alone(reaction: Reaction, act: Act, record: Record) -> None:
    act(reaction, record, reaction.wanted(record))


def _for_all(reaction: Reaction, act: Act, claims: SharedAudit, record: Record) -> None:
    """Act for the fleet, if no other sidecar does or did. While the database is away an alarm goes before silence."""
    try:
        mine = claims.claim(record, reaction.name, 2 * reaction.timeout + 30)
    except Away:
        if reaction.command or time.time_ns() - record.at_ns < _PATIENCE_S * 1e9:
            raise
        _alone(reaction, act, record)
        return
    if mine:
        try:
            _alone(reaction, act, record)
        except Failed as error:
            # Where this one fails another may do better, as long as there is time.
            last = error.final or (time.time_ns() - record.at_ns) / 1e9 > reaction.retry_for
            claims.end(record, reaction.name, done=last)
            raise
        claims.end(record, reaction.name, done=True)
