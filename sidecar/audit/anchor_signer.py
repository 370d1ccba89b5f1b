"""Signs each new head of the journal, and hands the newest signed one to reactions and to the shared database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sidecar.audit.anchor import Anchor
from sidecar.audit.anchor_keys import SigningKey
from sidecar.audit.chain_head import ChainHead
from sidecar.audit.journal_reader import newest_first
from sidecar.audit.record import Record, RecordCause
from sidecar.routing.scalars import format_time

log = logging.getLogger(__name__)

_PATIENCE_S = 2.0


class AnchorSigner:
    """A witness of the journal, which signs the head at each save, on the journal's thread.

    `covering` is for other threads: it waits up to `patience_s` seconds, once, for a disk that does not write.
    """

    def __init__(
        self,
        key: SigningKey,
        *,
        source: str,
        journal: Path,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._key = key
        self._source = source
        self._journal = journal
        self._patience_s = patience_s
        self._clock = clock
        self._ready = threading.Condition()
        self._anchor: Anchor | None = None
        # The time of the newest record that the head covers, below 0 before the journal was opened.
        self._covered_ns = -1
        self._late = False
        self._failing = False

    @property
    def place(self) -> str:
        """Where the anchors are: not here."""
        return "kept anchors"

    def load(self) -> ChainHead | None:
        """Return None: earlier heads are not known here."""
        return None

    def save(self, head: ChainHead) -> None:
        """Sign a head; a failure is logged once, until it works again, and harms nothing else."""
        if self._anchor is not None and self._anchor.head == head:
            return
        anchor = None
        try:
            if self._covered_ns < 0:
                self._covered_ns = self._newest_ns()
            unsigned = Anchor(head, self._source, format_time(self._clock()))
            anchor = replace(unsigned, signature=self._key.sign(unsigned.message))
        except Exception:
            if not self._failing:
                log.exception("the audit's head could not be signed; changes are handed out without anchor")
        self._failing = anchor is None
        with self._ready:
            self._anchor = anchor

    def written(self, records: Sequence[Record]) -> None:
        """Note that records are on disk, and that the head that was saved last covers them."""
        with self._ready:
            self._covered_ns = max(self._covered_ns, *(record.at_ns for record in records))
            self._late = False
            self._ready.notify_all()

    def covering(self, record: Record) -> Anchor | None:
        """Return the newest anchor, which covers the record; None if the record is not on disk within the patience."""
        with self._ready:
            patience = 0.0 if self._late else self._patience_s
            if self._ready.wait_for(lambda: self._covered_ns >= record.at_ns, patience):
                return self._anchor
            if not self._late:
                log.warning("the audit is not written; changes are handed out without anchor until it is")
            self._late = True
            return None

    def _newest_ns(self) -> int:
        """Return the time of the newest change in the journal, which this process did not write."""
        return next((each.at_ns for each in newest_first(self._journal) if each.cause is not RecordCause.AUDIT), 0)
