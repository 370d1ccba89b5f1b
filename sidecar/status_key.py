"""Feedback in the config center: a line for each change of the document, in a key beside it.

A line has a time, `accepted` or `refused`, the revision, and what follows for the reader, separated by a blank each.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.atomic_file import Saver
from sidecar.errors import SidecarError, WriteConflict
from sidecar.lifecycle import SourceState
from sidecar.routing.scalars import SECOND_NS, format_time, parse_time
from sidecar.sources.base import Content, Source
from sidecar.view import View

SUFFIX = ".status"
_LINES = 20
_LINE_CHARACTERS = 400
_TIMEOUT_S = 5.0
# The first sidecar of a fleet writes; the others find its line. Spread over this time they seldom meet.
_SPREAD_S = 1.0
_ATTEMPTS = 3
# For so long a line counts as being about the same change: a sidecar that is behind does not add it again.
_SAME_NS = 60 * SECOND_NS


def status_url(url: str) -> str:
    """Return the URL of the key beside a key, as in `nacos://host/GROUP/routing.status?namespace=NS`."""
    return url_beside(url, SUFFIX)


def url_beside(url: str, suffix: str) -> str:
    """Return the URL of the key whose name has a suffix more."""
    key, mark, query = url.partition("?")
    return f"{key}{suffix}{mark}{query}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a text: accepted or `refused`, its revision, and the words behind it."""

    revision: str
    refused: bool
    words: str

    @property
    def line(self) -> str:
        """The line that reports it, without its time."""
        words = " ".join(self.words.split())[:_LINE_CHARACTERS]
        return f"{'refused' if self.refused else 'accepted'} {self.revision} {words}".rstrip()


class StatusKey(Saver[Outcome]):
    """Writes what became of the newest text to a key beside the document's, on a thread of its own.

    The newest line stands first, and twenty are kept. With several sidecars the first writes: compare-and-set lets one
    through, and the others find the line. A failure is logged, counted as that of a saver, and reaches nothing else;
    the next change is tried again. `status` is the source of the key; it is read and written, never watched.
    """

    def __init__(self, status: Source, *, delay: Callable[[], float] = lambda: random.uniform(0, _SPREAD_S)) -> None:  # noqa: S311 - spreads load
        self._source = status
        self._delay = delay
        loss = "the status key could not be written: editors do not see there whether a text was accepted"
        super().__init__("status key", self._write, loss=f"{loss} ({status.url})")

    def changed(self, before: View, after: View) -> None:
        """Report the outcome of a new text; a listener of the table."""
        refusal = after.status.refusal
        if refusal is not None:
            if refusal is not before.status.refusal:
                self.put(Outcome(refusal.revision, refused=True, words=refusal.error.summary))
            return
        source = after.source
        news = source is not before.source or before.status.refusal is not None or before.status.from_snapshot
        if source is None or not news or after.status.from_snapshot or after.status.state is not SourceState.SYNCED:
            return
        meta = source.document.meta
        words = [f"{key} {meta[key]}" for key in ("by", "reason", "ticket") if isinstance(meta.get(key), str)]
        self.put(Outcome(source.document.revision, refused=False, words=", ".join(words)))

    def _write(self, outcome: Outcome) -> None:
        self._stopping.wait(self._delay())
        try:
            for attempt in range(_ATTEMPTS):
                found = self._source.read(_TIMEOUT_S)
                lines = found.text.decode("utf-8", "replace").splitlines() if isinstance(found, Content) else []
                now_ns = time.time_ns()
                if _told(lines, outcome, now_ns):
                    return
                at = format_time(now_ns // SECOND_NS * SECOND_NS)
                text = "\n".join([f"{at} {outcome.line}", *lines[: _LINES - 1], ""])
                try:
                    self._source.write(text.encode(), found.version if isinstance(found, Content) else None, _TIMEOUT_S)
                except WriteConflict:
                    if attempt == _ATTEMPTS - 1:
                        raise
                else:
                    return
        except SidecarError as error:
            raise OSError(errno.EIO, str(error), self._source.url) from error


def _told(lines: list[str], outcome: Outcome, now_ns: int) -> bool:
    """Return whether the newest line, or one of the last minute, is about this outcome."""
    for number, line in enumerate(lines):
        at, _, rest = line.partition(" ")
        if rest.split(" ")[:2] == outcome.line.split(" ")[:2]:
            at_ns = parse_time(at)
            if number == 0 or (at_ns is not None and now_ns - at_ns < _SAME_NS):
                return True
    return False
