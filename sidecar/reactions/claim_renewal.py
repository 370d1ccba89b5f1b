"""Renews the claim on a change while a reaction that takes minutes works on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sidecar.audit.record import Record
from sidecar.errors import DependencyUnavailable, TaskDeferred
from sidecar.reactions.settings import LEASE_S, Reaction

if TYPE_CHECKING:
    from sidecar.audit.database import AuditDatabase

_RENEW_S = 10.0


class ClaimRenewal:
    """Renews the claim of a reaction as its work goes from step to step; without `claims` there is none. One thread."""

    def __init__(self, claims: AuditDatabase | None, reaction: Reaction) -> None:
        self._claims = claims
        self._name = reaction.name
        self._lease = 2 * reaction.timeout + LEASE_S
        self._renewed = 0.0

    def begin(self) -> None:
        """Note that the claim has just been made."""
        self._renewed = time.monotonic()

    def renew(self, record: Record) -> None:
        """Renew the claim if it is time. Raises TaskDeferred if another sidecar has taken over."""
        if self._claims is None or time.monotonic() - self._renewed < _RENEW_S:
            return
        try:
            claimed = self._claims.claim(record, self._name, self._lease)
        except DependencyUnavailable:
            # Then no other sidecar can claim it either.
            claimed = True
        if not claimed:
            raise TaskDeferred("another sidecar has taken over")
        self._renewed = time.monotonic()
