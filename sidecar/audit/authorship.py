"""Looks up who wrote a text in the config center's own history."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping

from sidecar.errors import SidecarError
from sidecar.sources.base import History

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_RETRY_S = 600.0
# A busy server may be too slow once; one that answers no lookup refuses them, or is gone.
_FAILURES = 3


class Authorship:
    """Asks a source's history; after three failures in a row not again for ten minutes: reactions wait for it."""

    def __init__(self, history: History | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._history = history
        self._clock = clock
        self._failures = 0
        self._retry_at = -math.inf

    def of(self, version: str) -> Mapping[str, str]:
        """Return the `user` and `address` that wrote a version, as far as known, within about two seconds."""
        if self._history is None or self._clock() < self._retry_at:
            return {}
        try:
            author = self._history.author(version, _TIMEOUT_S)
        except SidecarError as error:
            log.info("the config center's history is not readable; the change is recorded without author: %s", error)
            self._failures += 1
            if self._failures >= _FAILURES:
                self._failures, self._retry_at = 0, self._clock() + _RETRY_S
            return {}
        self._failures = 0
        known = {"user": author.user, "address": author.address} if author else {}
        return {name: value for name, value in known.items() if value}
